"""Ask the endpoint for a forecast of one user, as an application would."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from demo.errors import DemoError
from visitcast.data import schema

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sagemaker_runtime.client import SageMakerRuntimeClient

_RECENT_DAYS = 14
_GOOD_HISTORY = 40
"""Visit days that make a telling example."""


def read_visits(s3: S3Client, uri: str) -> pa.Table:
    """Read a visits CSV from S3, ``s3://bucket/key``."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    convert = pyarrow.csv.ConvertOptions(
        column_types={schema.USER_ID: pa.string(), schema.VISIT_DATE: pa.date32(), schema.PLATFORM: pa.string()},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return pyarrow.csv.read_csv(io.BytesIO(body), convert_options=convert)


def example_request(visits: pa.Table) -> dict[str, Any]:
    """Build the endpoint's request for one user and the day after the last day in the data.

    Of the users who visited in the last two weeks, the one is chosen whose history is nearest to 40 visit days; among
    equals the first by name.
    """
    last_day: date = pc.max(visits[schema.VISIT_DATE]).as_py()
    users = visits.group_by(schema.USER_ID).aggregate([(schema.VISIT_DATE, "max"), (schema.VISIT_DATE, "count")])
    recent = users.filter(
        pc.greater(users[f"{schema.VISIT_DATE}_max"], pa.scalar(last_day - timedelta(days=_RECENT_DAYS)))
    )
    candidates = recent.select([f"{schema.VISIT_DATE}_count", schema.USER_ID]).to_pylist()
    user = min((abs(row[f"{schema.VISIT_DATE}_count"] - _GOOD_HISTORY), row[schema.USER_ID]) for row in candidates)[1]
    history = visits.filter(pc.equal(visits[schema.USER_ID], pa.scalar(user))).sort_by(schema.VISIT_DATE)
    rows = history.drop_columns([schema.USER_ID]).to_pylist()
    for row in rows:
        row[schema.VISIT_DATE] = row[schema.VISIT_DATE].isoformat()
    tomorrow = last_day + timedelta(days=1)
    return {"users": [{"user_id": user, "date": tomorrow.isoformat(), "visits": rows}]}


def ask(runtime: SageMakerRuntimeClient, endpoint: str, request: dict[str, Any]) -> dict[str, Any]:
    """Invoke the endpoint and return its forecast for the request's one user.

    Raises
    ------
    DemoError
        The answer is not a forecast of 24 probabilities for that user and day.
    """
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Accept="application/json", Body=json.dumps(request)
    )
    forecast: dict[str, Any] = json.loads(answer["Body"].read())["forecasts"][0]
    asked = request["users"][0]
    probabilities = forecast.get("first_visit_hour", [])
    if (
        (forecast.get("user_id"), forecast.get("date")) != (asked["user_id"], asked["date"])
        or len(probabilities) != schema.HOURS
        or abs(sum(probabilities) - 1) > 1e-3
    ):
        raise DemoError(
            "The endpoint's answer is not a forecast.",
            json.dumps(forecast)[:500],
            f"Look into the log group /aws/sagemaker/Endpoints/{endpoint}.",
        )
    return forecast
