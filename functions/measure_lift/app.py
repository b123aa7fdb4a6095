"""Lambda handler of the state "Measure lift"."""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.measure_lift.lift import ArmSums, lifts
from functions.shared.s3_uri import bucket_and_key

logger = Logger(service="measure_lift")
s3 = boto3.client("s3")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Compare the arms by the sums that a query has computed.

    Parameters
    ----------
    event
        ``OutputLocation`` (CSV result of responses.sql), ``ResponseHours`` and ``WantedRelativeLift``.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``ResponseHours`` and ``Lifts``, one for each control arm; see `functions.measure_lift.lift.Lift`.
    """
    bucket, key = bucket_and_key(event["OutputLocation"])
    text = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8")
    found = lifts(read_sums(text), event["WantedRelativeLift"])
    logger.info("lift measured", extra={"lifts": found})
    return {"ResponseHours": event["ResponseHours"], "Lifts": found}


def read_sums(text: str) -> dict[str, ArmSums]:
    """Read the sums of each arm from CSV."""
    names = [field.name for field in fields(ArmSums)]
    return {
        row["arm"]: ArmSums(**{name: int(float(row[name])) for name in names})
        for row in csv.DictReader(io.StringIO(text))
    }
