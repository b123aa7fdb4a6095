"""``python -m demo.lift``: measure the lift of the sends so far, without running the forecast workflow."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

import boto3
from rich.console import Console

from demo.errors import DemoError
from demo.forecast_run import show_lift, stack_outputs
from demo.region import region
from demo.stack import default_name

_POLL_SECONDS = 0.5
_QUERY = Path("sql/forecast/responses.sql")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the lift; return 0 when it could be asked for."""
    parser = argparse.ArgumentParser(prog="python -m demo.lift", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("build/localaws"), help="of the region (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("build/demo"), help="for logs (%(default)s)")
    parser.add_argument("--stack-name", help="default: the one in samconfig.toml")
    parser.add_argument("--until", type=date.fromisoformat, default=datetime.now(UTC).date(), help="last forecast date")
    parser.add_argument("--days", type=int, default=28, help="forecast dates to look at (%(default)s)")
    parser.add_argument("--hours", type=int, default=2, help="a visit so soon after a send answers it (%(default)s)")
    parser.add_argument("--wanted", type=float, default=0.1, help="relative lift worth showing (%(default)s)")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        with region(options.home, options.output, keep=True):
            outputs = stack_outputs(options.stack_name or default_name())
            sql = query(outputs["DatabaseName"], options.until, options.days, options.hours)
            show_lift(console, {"lift": measure(outputs, sql, options.hours, options.wanted)})
    except DemoError as error:
        console.print(f"FAILED\n{error}")
        return 1
    return 0


def query(database: str, until: date, days: int, hours: int) -> str:
    """Fill dates into the query that takes the sums of each arm."""
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


def measure(outputs: dict[str, str], sql: str, hours: int, wanted: float) -> dict[str, Any]:
    """Run the query, and the function that makes a lift of its sums.

    Raises
    ------
    DemoError
        The query or the function failed.
    """
    athena = boto3.client("athena")
    started = athena.start_query_execution(QueryString=sql, WorkGroup=outputs["WorkGroupName"])["QueryExecutionId"]
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
    payload = {
        "OutputLocation": found["ResultConfiguration"]["OutputLocation"],
        "ResponseHours": hours,
        "WantedRelativeLift": wanted,
    }
    answer = boto3.client("lambda").invoke(
        FunctionName=outputs["MeasureLiftFunctionName"], Payload=json.dumps(payload).encode()
    )
    body: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise DemoError("The lift could not be measured.", str(body), "Look into the function's log.")
    return body


if __name__ == "__main__":
    sys.path.insert(1, str(Path(__file__).parent.parent / "containers"))
    raise SystemExit(main())
