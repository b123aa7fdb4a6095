"""Lambda handler of the state "Publish forecasts".

A run writes under its own prefix. Publishing points the date's partition there with one call to Glue for each table, so
readers see either the old files or the new ones. Publishing a date again changes nothing else.
"""

from __future__ import annotations

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.shared.s3_uri import bucket_and_key

logger = Logger(service="publish_forecasts")
glue = boto3.client("glue")
s3 = boto3.client("s3")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Point the partitions of a forecast date to a run's files and keep its profile for the next drift check.

    Idempotent: a retry or a second run of the date points the partitions again.

    Parameters
    ----------
    event
        ``ForecastDate``, ``Locations`` (s3://bucket/prefix by table) and ``ReportUri``.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``ForecastDate`` and ``Tables``: ``created`` or ``replaced`` by table.
    """
    day, database = event["ForecastDate"], os.environ["DATABASE_NAME"]
    done = {table: point(database, table, day, location) for table, location in sorted(event["Locations"].items())}
    bucket, prefix = bucket_and_key(event["ReportUri"])
    s3.copy_object(
        CopySource={"Bucket": bucket, "Key": f"{prefix}/profile.json"},
        Bucket=bucket,
        Key=f"forecasts/profiles/dt={day}.json",
    )
    logger.info("forecasts published", extra={"forecast_date": day, "tables": done})
    return {"ForecastDate": day, "Tables": done}


def point(database: str, table: str, day: str, location: str) -> str:
    """Point a table's partition of a date to a location; return ``created`` or ``replaced``."""
    storage = glue.get_table(DatabaseName=database, Name=table)["Table"]["StorageDescriptor"]
    partition: Any = {"Values": [day], "StorageDescriptor": {**storage, "Location": f"{location.rstrip('/')}/"}}
    try:
        glue.create_partition(DatabaseName=database, TableName=table, PartitionInput=partition)
    except glue.exceptions.AlreadyExistsException:
        glue.update_partition(
            DatabaseName=database, TableName=table, PartitionValueList=[day], PartitionInput=partition
        )
        return "replaced"
    return "created"
