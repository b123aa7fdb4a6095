"""Lambda handler of the state "Measure lift"."""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from dataclasses import asdict, fields
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.measure_lift.estimate import Sums
from functions.measure_lift.lift import HEADLINE, THIRDS, Arm, Lift, Third, by_thirds, lifts, table, whole
from functions.measure_lift.words import in_words
from functions.shared.s3_uri import bucket_and_key

logger = Logger(service="measure_lift")
s3 = boto3.client("s3")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Compare the arms by the sums that a query has computed.

    Parameters
    ----------
    event
        ``OutputLocation`` (CSV result of responses.sql) and ``Lift``, the input's section with ``ResponseHours``,
        ``WantedRelativeLift`` and ``Campaign``: its ``Name``, ``Control`` and, if given, ``PricePerPush``.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``ResponseHours``, ``Arms`` (see `functions.measure_lift.lift.table`), ``Lifts`` (see
        `functions.measure_lift.lift.Lift`), ``Thirds`` (the same of each third of the users, with ``third``,
        ``lowest_probability`` and ``highest_probability`` of coming) and ``Words``, all of it in sentences.
    """
    bucket, key = bucket_and_key(event["OutputLocation"])
    by_number = read_thirds(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8"))
    arms = whole(by_number.values())
    section = event["Lift"]
    campaign = section["Campaign"]
    found = lifts(arms, campaign, section["WantedRelativeLift"])
    thirds = by_thirds(by_number, campaign, section["WantedRelativeLift"])
    publish(found, campaign["Name"])
    rows = [asdict(lift) for lift in found]
    logger.info("lift measured", extra={"lifts": rows})
    return {
        "ResponseHours": section["ResponseHours"],
        "Arms": table(arms),
        "Lifts": rows,
        "Thirds": [
            {
                "third": THIRDS[third.number],
                "lowest_probability": third.lowest,
                "highest_probability": third.highest,
                **asdict(lift),
            }
            for third, lift in thirds
        ],
        "Words": list(in_words(found, campaign["Name"], thirds)),
    }


def read_thirds(text: str) -> dict[int, Third]:
    """Read the sums of each third, arm and outcome from CSV."""
    rows: dict[int, list[dict[str, str]]] = defaultdict(list)
    for row in csv.DictReader(io.StringIO(text)):
        rows[int(row["third"])].append(row)
    return {
        number: Third(
            number,
            min(float(row["lowest_chance"]) for row in of_third),
            max(float(row["highest_chance"]) for row in of_third),
            _arms(of_third),
        )
        for number, of_third in rows.items()
    }


def _arms(rows: list[dict[str, str]]) -> dict[str, Arm]:
    outcomes: dict[str, dict[str, Sums]] = defaultdict(dict)
    counts: dict[str, tuple[int, int]] = {}
    for row in rows:
        values = {field.name: (int if field.type == "int" else float)(row[field.name]) for field in fields(Sums)}
        outcomes[row["arm"]][row["outcome"]] = Sums(**values)  # type: ignore[arg-type]
        counts[row["arm"]] = int(row["dates"]), int(row["pushes"])
    return {arm: Arm(*counts[arm], outcomes=of_arm) for arm, of_arm in outcomes.items()}


def publish(found: list[Lift], campaign: str) -> None:
    """Log the visits that best_hour causes as metrics, which CloudWatch reads from the log."""
    for lift in found:
        if (lift.arm, lift.control, lift.outcome) == HEADLINE and lift.per_1000_pushes is not None:
            metrics = EphemeralMetrics(namespace="visitcast", service="measure_lift")
            metrics.add_dimension("Environment", os.environ["ENVIRONMENT"])
            metrics.add_dimension("Campaign", campaign)
            for end in ("", "_low", "_high"):
                value = getattr(lift, f"per_1000_pushes{end}")
                metrics.add_metric(f"caused_visits_per_1000_pushes{end}", MetricUnit.Count, value)
            metrics.flush_metrics()
