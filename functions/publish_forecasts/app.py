"""Lambda handler of the state "Publish forecasts".

A run writes under its own prefix. Publishing points partitions there with one call to Glue for each table, so readers
see either the old files or the new ones. Publishing again changes nothing else.

A plan that is to be handed over first gets onto the list of plans that stand. Where one of the same campaign and date
stands already, that one is published and handed over: other hours now would push users twice.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from functions.shared.s3_uri import bucket_and_key
from functions.shared.standing_plans import CHANGED, KEY, run_of, with_plan

logger = Logger(service="publish_forecasts")
glue = boto3.client("glue")
s3 = boto3.client("s3")


class PlansChanged(RuntimeError):
    """Another run has published its plan since this one looked. The workflow looks again and plans again."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Point the partitions of a run and keep its profile for the next drift check.

    Idempotent: a retry or a second run of the date points the partitions again.

    Parameters
    ----------
    event
        ``RunId``, ``ForecastDate``, ``Campaign``, ``HandOver`` (whether the plan is to be handed over), ``Version`` of
        the list of plans that the run has planned by, ``ForecastsUri`` and ``ReportUri``.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``PlanRunId``, the run whose plan stands or was published; its ``Report``, with the drift of this run and whom
        it left out; its ``MessagesPrefix``; ``SendsPrefix``, where hand-overs are recorded; and ``Tables``: ``created``
        or ``replaced`` by table.

    Raises
    ------
    PlansChanged
        Plans have changed since the run looked. Nothing is published.
    """
    day, campaign, own, bucket = event["ForecastDate"], event["Campaign"], event["RunId"], os.environ["BUCKET_NAME"]
    run = standing_run(bucket, event) or own
    sends = f"forecasts/sends/dt={day}/campaign={campaign}"
    done = {
        "visit_forecasts": point("visit_forecasts", [day], event["ForecastsUri"]),
        "send_plans": point("send_plans", [day, campaign], f"s3://{bucket}/runs/{run}/plans"),
        "sends": point("sends", [day, campaign], f"s3://{bucket}/{sends}"),
    }
    _, prefix = bucket_and_key(event["ReportUri"])
    s3.copy_object(
        CopySource={"Bucket": bucket, "Key": f"{prefix}/profile.json"},
        Bucket=bucket,
        Key=f"forecasts/profiles/dt={day}.json",
    )
    report = read_json(bucket, f"runs/{run}/report/report.json")
    if run != own:
        report |= about_forecasts(read_json(bucket, f"{prefix}/report.json"), report)
    logger.info("forecasts published", extra={"forecast_date": day, "tables": done, "plan_run_id": run})
    return {
        "PlanRunId": run,
        "Report": report,
        "MessagesPrefix": f"runs/{run}/messages",
        "SendsPrefix": sends,
        "Tables": done,
    }


def about_forecasts(own: dict[str, Any], of_plan: dict[str, Any]) -> dict[str, Any]:
    """Return what a run says of its forecasts, for the report of an earlier run's plan."""
    # A report of an earlier release says nothing of whom its run left out.
    left_out, of_others = own.get("left_out", {}), of_plan.get("left_out", {}).get("note")
    notes = [left_out.get("note"), *(note for note in of_plan["notes"] if note != of_others)]
    return {"drift": own["drift"], "left_out": left_out, "notes": [note for note in notes if note]}


def standing_run(bucket: str, event: dict[str, Any]) -> str | None:
    """Return the run whose plan stands, which may be this one from now on; None if none does.

    Raises
    ------
    PlansChanged
        The plan is to be handed over, and the list has changed since the run looked.
    """
    found = s3.get_object(Bucket=bucket, Key=KEY)
    standing = json.loads(found["Body"].read())
    day, campaign = event["ForecastDate"], event["Campaign"]
    run = run_of(standing, day, campaign)
    if run is not None or not event["HandOver"]:
        return run
    if standing["version"] != event["Version"]:
        raise PlansChanged(f"Version {standing['version']} instead of {event['Version']}.")
    changed = with_plan(standing, day, campaign, event["RunId"], datetime.now(UTC).date())
    try:
        s3.put_object(Bucket=bucket, Key=KEY, Body=json.dumps(changed).encode(), IfMatch=found["ETag"])
    except ClientError as error:
        if error.response["Error"]["Code"] in CHANGED:
            raise PlansChanged("Another run was faster.") from error
        raise
    own: str = event["RunId"]
    return own


def read_json(bucket: str, key: str) -> dict[str, Any]:
    """Read an object that holds JSON."""
    content: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return content


def point(table: str, values: list[str], location: str) -> str:
    """Point a table's partition to a location; return ``created`` or ``replaced``."""
    database = os.environ["DATABASE_NAME"]
    storage = glue.get_table(DatabaseName=database, Name=table)["Table"]["StorageDescriptor"]
    partition: Any = {"Values": values, "StorageDescriptor": {**storage, "Location": f"{location.rstrip('/')}/"}}
    try:
        glue.create_partition(DatabaseName=database, TableName=table, PartitionInput=partition)
    except glue.exceptions.AlreadyExistsException:
        glue.update_partition(
            DatabaseName=database, TableName=table, PartitionValueList=values, PartitionInput=partition
        )
        return "replaced"
    return "created"
