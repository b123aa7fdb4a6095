"""Lambda handler of the state "Prepare forecast"."""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from functions.prepare_forecast.plan import PUSHES, UNLOADED, contradictions, plan_forecast, render_queries
from functions.shared.bundle import SQL
from functions.shared.execution_input import load_schema, validated
from functions.shared.network import Network
from functions.shared.s3_uri import bucket_and_key
from functions.shared.standing_plans import CHANGED, KEY, NOTHING

logger = Logger(service="prepare_forecast")
s3 = boto3.client("s3")
SCHEMA = load_schema("forecast")
NOBODY = "user_id\n"
"""An audience without users: a processing job's inputs cannot be left out."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Validate the execution input, plan the run and write its audience and its campaign to the bucket.

    Parameters
    ----------
    event
        ``Input`` (the execution input), ``ExecutionId`` (ARN) and ``ExecutionStartTime`` (ISO-8601, UTC).
    context
        Lambda's context object.

    Returns
    -------
    dict
        The run, see `functions.prepare_forecast.plan.plan_forecast`, its ``Queries``, see `render_queries` there, and
        ``PushesQuery``, whose braces stand for the runs whose plans stand.

    Raises
    ------
    InputRejected
        The input violates its JSON Schema. The message lists every violation.
    """
    execution_input = validated(event["Input"], SCHEMA, contradictions)
    bucket = os.environ["BUCKET_NAME"]
    run = plan_forecast(
        execution_input,
        execution_id=event["ExecutionId"],
        started_at=event["ExecutionStartTime"],
        bucket=bucket,
        network=Network.from_environment(),
        kms_key_arn=os.environ["KMS_KEY_ARN"],
    )
    queries = render_queries(run, os.environ["DATABASE_NAME"], SQL, own_events(bucket, os.environ["EVENTS_SQL_KEY"]))
    for name in (*UNLOADED.values(), "Answers"):
        # An UNLOAD without rows writes nothing, nor does a transform without users, and a processing job fails on a
        # prefix without objects.
        s3.put_object(Bucket=bucket, Key=f"{run['Prefix']}/{name.lower()}/about.txt", Body=b"written by the run")
    put_audience(execution_input.get("AudienceUri"), bucket, f"{run['Prefix']}/audience/audience.csv")
    # A file, since SageMaker takes at most 256 characters as a value of a job's environment:
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateProcessingJob.html
    campaign = json.dumps(execution_input["Campaign"]).encode()
    s3.put_object(Bucket=bucket, Key=f"{run['Prefix']}/audience/campaign.json", Body=campaign)
    logger.info("forecast prepared", extra={"run_id": run["RunId"], "forecast_date": run["ForecastDate"]})
    begin_standing_plans(bucket)
    return {
        **run,
        "Queries": [query for query in queries if query["Name"] != PUSHES],
        "PushesQuery": next(query["Sql"] for query in queries if query["Name"] == PUSHES),
    }


def own_events(bucket: str, key: str) -> str:
    """Return the query that the deployment has published for a table of one's own; empty without such a table."""
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8") if key else ""


def begin_standing_plans(bucket: str) -> None:
    """Write an empty list of the plans that stand, unless there is one."""
    try:
        s3.put_object(Bucket=bucket, Key=KEY, Body=json.dumps(NOTHING).encode(), IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in CHANGED:
            raise


def put_audience(uri: str | None, bucket: str, key: str) -> None:
    """Copy the campaign's list of users to the run, or write an empty one."""
    if uri is None:
        s3.put_object(Bucket=bucket, Key=key, Body=NOBODY.encode())
        return
    source_bucket, source_key = bucket_and_key(uri)
    # The managed copy stays inside S3 and uses parts above 5 GB.
    s3.copy(CopySource={"Bucket": source_bucket, "Key": source_key}, Bucket=bucket, Key=key)
