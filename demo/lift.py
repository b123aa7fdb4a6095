"""Measure the lift of the sends so far: a query computes sums for each arm, a function of the stack compares them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import boto3

from demo.errors import DemoError

if TYPE_CHECKING:
    from rich.console import Console

_POLL_SECONDS = 0.5
_QUERY = Path("sql/forecast/responses.sql")


def measure_lift(
    outputs: dict[str, str], until: date, days: int = 28, hours: int = 2, wanted: float = 0.1
) -> list[dict[str, Any]]:
    """Compare the arms over some forecast dates.

    Parameters
    ----------
    outputs : dict
        Of the deployed stack.
    until : date
        Last forecast date.
    days : int
        Number of dates before it that count too.
    hours : int
        A visit within this time after a send counts as a response.
    wanted : float
        Smallest relative lift that is worth detecting; it determines the necessary sample size.

    Returns
    -------
    list of dict
        One for each control arm; see `functions.measure_lift.lift.Lift`.

    Raises
    ------
    DemoError
        The query or the function failed.
    """
    location = _run_query(lift_sql(outputs["DatabaseName"], until, days, hours), outputs["WorkGroupName"])
    payload = {"OutputLocation": location, "ResponseHours": hours, "WantedRelativeLift": wanted}
    answer = boto3.client("lambda").invoke(
        FunctionName=outputs["MeasureLiftFunctionName"], Payload=json.dumps(payload).encode()
    )
    body: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise DemoError("The lift could not be measured.", str(body), "Look into the function's log.")
    lifts: list[dict[str, Any]] = body["Lifts"]
    return lifts


def lift_sql(database: str, until: date, days: int, hours: int) -> str:
    """Fill dates into the query that computes the sums of each arm."""
    starts = until - timedelta(days=days)
    return Template(_QUERY.read_text(encoding="utf-8")).substitute(
        database=database,
        response_hours=hours,
        as_of=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        lift_starts=starts,
        lift_starts_minus_1=starts - timedelta(days=1),
        forecast_date=until,
        forecast_date_plus_1=until + timedelta(days=1),
    )


def _run_query(sql: str, work_group: str) -> str:
    athena = boto3.client("athena")
    started = athena.start_query_execution(QueryString=sql, WorkGroup=work_group)["QueryExecutionId"]
    while (found := athena.get_query_execution(QueryExecutionId=started)["QueryExecution"])["Status"]["State"] in (
        "QUEUED",
        "RUNNING",
    ):
        time.sleep(_POLL_SECONDS)
    if found["Status"]["State"] != "SUCCEEDED":
        raise DemoError(
            "The sends and visits could not be read.",
            found["Status"].get("StateChangeReason", ""),
            "Run the forecast workflow first: it makes the table send_plans.",
        )
    return found["ResultConfiguration"]["OutputLocation"]


def show_lift(console: Console, lifts: Sequence[dict[str, Any]]) -> None:
    """Print the lift, as far as it is known."""
    if not lifts:
        console.print("Lift: no sends yet whose time is over.")
    for lift in lifts:
        against = f"Lift over {lift['control']}"
        if lift["relative"] is None:
            console.print(f"{against}: {lift['verdict']}. {lift['reason']}")
        else:
            console.print(
                f"{against}: {lift['relative']:+.1%} (95% interval {lift['relative_low']:+.1%} to "
                f"{lift['relative_high']:+.1%}): {lift['verdict']}"
            )
