"""Measure the lift of the sends so far: a query computes sums for each arm, a function of the stack compares them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import boto3
from rich.table import Table

from demo.errors import DemoError
from demo.execution import readable

if TYPE_CHECKING:
    from rich.console import Console

_POLL_SECONDS = 0.5
_QUERY = Path("sql/forecast/responses.sql")
_RUNS = 100
"""Runs in which campaigns are looked for."""
THIRDS_TITLE = (
    "Visits on the date, best_hour against no_push, by the probability of coming at the first send; the three "
    "intervals hold together:"
)
RATES = {
    "visited_date": "came on the date",
    "visited_24_hours": "within 24 h",
    "hit": "hits",
    "opened": "opened",
    "opted_out": "opted out",
}
"""Outcomes of a send, with the titles of their columns."""


def campaigns(state_machine_arn: str) -> list[dict[str, Any]]:
    """Return the section ``Lift`` of the last run of each experiment, a campaign and a salt.

    Parameters
    ----------
    state_machine_arn : str
        Of the forecast workflow.
    """
    sfn = boto3.client("stepfunctions")
    done = sfn.list_executions(stateMachineArn=state_machine_arn, statusFilter="SUCCEEDED", maxResults=_RUNS)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for execution in sorted(done["executions"], key=lambda execution: execution["startDate"], reverse=True):
        output = sfn.describe_execution(executionArn=execution["executionArn"])["output"]
        section = json.loads(output)["run"]["Lift"]
        campaign = section["Campaign"]
        found.setdefault((campaign["Name"], campaign["Control"]["Salt"]), section)
    return list(found.values())


def measure_lift(outputs: Mapping[str, str], section: dict[str, Any], until: date, as_of: datetime) -> dict[str, Any]:
    """Compare the arms of a campaign over some forecast dates.

    Parameters
    ----------
    outputs : mapping
        Of the deployed stack.
    section : dict
        The section ``Lift`` of a run.
    until : date
        Last forecast date.
    as_of : datetime
        Sends count if their outcomes are known at this time, UTC.

    Returns
    -------
    dict
        See `functions.measure_lift.app.handler`.

    Raises
    ------
    DemoError
        The query or the function failed.
    """
    sql = lift_sql(outputs["DatabaseName"], section, until, as_of, own_events(outputs))
    location = _run_query(sql, outputs["WorkGroupName"])
    answer = boto3.client("lambda").invoke(
        FunctionName=outputs["MeasureLiftFunctionName"],
        Payload=json.dumps({"OutputLocation": location, "Lift": section}).encode(),
    )
    body: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        cause = "\n".join(readable(json.dumps(body)))
        raise DemoError("The lift could not be measured.", cause, "Look into the function's log.")
    return body


def own_events(outputs: Mapping[str, str]) -> str:
    """Return the query that reads a table of one's own, as the deployment has published it; empty without one."""
    key = outputs.get("EventsSqlKey")
    if key is None:
        return ""
    body: bytes = boto3.client("s3").get_object(Bucket=outputs["BucketName"], Key=key)["Body"].read()
    return body.decode("utf-8")


def lift_sql(database: str, section: Mapping[str, Any], until: date, as_of: datetime, events: str = "") -> str:
    """Fill a campaign and dates into the query that computes the sums of each arm.

    `events` is the query that reads a table of one's own; empty for the stack's table.
    """
    starts = until - timedelta(days=section["WindowDays"])
    return Template(_QUERY.read_text(encoding="utf-8")).substitute(
        database=database,
        events=f"(\n{events}\n)" if events else f'"{database}".events',
        lift_campaign=section["Campaign"]["Name"],
        lift_salt=section["Campaign"]["Control"]["Salt"].replace("'", "''"),
        response_hours=section["ResponseHours"],
        as_of=f"{as_of:%Y-%m-%d %H:%M:%S}",
        as_of_date=as_of.date(),
        lift_starts=starts,
        lift_starts_minus_1=starts - timedelta(days=1),
        forecast_date=until,
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
            "Look for the query's cause in Athena; the stack must be of this version.",
        )
    return found["ResultConfiguration"]["OutputLocation"]


def show_lift(console: Console, measured: Mapping[str, Any], truth: Sequence[float | None] = ()) -> None:
    """Print the arms and the lift, as far as it is known, and that of each third of the users, beside its truth."""
    if not measured["Arms"]:
        console.print("Lift: no sends yet whose date and 24 hours are over.")
        return
    console.print(arms_table(measured["Arms"]))
    # One sentence for each comparison; those after them are about the thirds, which have a table here.
    for words in measured["Words"][: len(measured["Lifts"])]:
        console.print(words)
    if measured["Thirds"]:
        console.print(f"\n{THIRDS_TITLE}")
        console.print(thirds_table(measured["Thirds"], truth))


def thirds_table(thirds: Sequence[Mapping[str, Any]], truth: Sequence[float | None] = ()) -> Table:
    """Return a table with the visits that best_hour causes in each third of the users; known truths are a column."""
    table = Table(box=None)
    for name in ("users", "come on a date", "in both arms", "per 1,000 pushes", "interval", "verdict"):
        table.add_column(name, justify="left" if name in ("users", "verdict") else "right")
    if truth:
        table.add_column("truth", justify="right")
    for third, caused in zip_longest(thirds, truth):
        known = third["per_1000_pushes"] is not None
        table.add_row(
            third["third"],
            f"{third['lowest_probability']:.1%} to {third['highest_probability']:.1%}",
            f"{third['users'] + third['control_users']:,}",
            f"{third['per_1000_pushes']:+.0f}" if known else "-",
            f"{third['per_1000_pushes_low']:+.0f} to {third['per_1000_pushes_high']:+.0f}" if known else "-",
            third["verdict"],
            *([] if caused is None else [f"{caused:+.0f}"]),
        )
    return table


def arms_table(arms: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table with the users, the sends and the outcomes of each arm; outcomes that nobody had are left out."""
    table = Table(box=None)
    known = {outcome: title for outcome, title in RATES.items() if any(arm[outcome] for arm in arms)}
    for name in ("arm", "users", "sends", "pushes", *known.values()):
        table.add_column(name, justify="left" if name == "arm" else "right")
    for arm in arms:
        counts = (f"{arm[name]:,}" for name in ("users", "sends", "pushes"))
        table.add_row(arm["arm"], *counts, *(f"{arm[name]:.1%}" for name in known))
    return table
