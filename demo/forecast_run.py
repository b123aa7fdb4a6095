"""``python -m demo.forecast_run``: run the forecast workflow and show tomorrow's send plan.

If no model is in production, the demo trains one first.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.cli import demo_options, interruptible, json_object, options_of
from demo.errors import DemoError
from demo.events import read_events
from demo.execution import Watcher, execute, explanation
from demo.lift import show_lift
from demo.lock import locked
from demo.production import ensure_production
from demo.region import region
from demo.screen import Screen
from functions.prepare_forecast.plan import contradictions
from functions.shared.execution_input import load_schema, mistakes
from visitcast.data import schema
from visitcast.events.command import Parser, with_events_args
from visitcast.events.mapping import EventsMapping
from visitcast.events.unreadable import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the workflow once; return 0 exactly when it succeeded."""
    parser = Parser(prog="python -m demo.forecast_run", description=__doc__, parents=[demo_options()])
    parser.add_argument(
        "--input", type=json_object, default={}, metavar="JSON", help="execution input of the forecast (default: none)"
    )
    parsed = parser.parse_args(with_events_args(parser, arguments))
    options = options_of(parser, parsed, {})
    # The workflow's own check, before a region starts and a model is trained for an input that it refuses.
    if found := mistakes(parsed.input, load_schema("forecast"), contradictions):
        parser.error("INPUT cannot be used:\n" + "\n".join(found))

    def work(console: Console) -> int:
        with locked(options.output / ".demo.lock"), region(options.home, options.output / "logs", keep=options.keep):
            outputs = ensure_production(options, console)
            after = {} if options.events is None else day_after(options.events, options.mapping)
            given = after | parsed.input
            if after and given.items() >= after.items():
                said = f"The plan is for {after['ForecastDate']}, the day after the last event of {options.events}, and"
                console.print(f"\n{said} is made as of {after['AsOf']}.", markup=False)
            with Screen(console) as screen:
                output = run_forecast(outputs["ForecastStateMachineArn"], given, screen.states)
            show_plan(console, output)
            file = save_plan(output, options.output / "send_plan.csv")
            console.print(f"All rows of the plan: {file}", markup=False)
            if options.keep:
                console.print("The region keeps running: `make console` shows the plan, `make down` ends it.")
        return 0

    return interruptible(work)


def day_after(events: Path, mapping: EventsMapping | None = None) -> dict[str, str]:
    """Return the input that forecasts the day after the last event of a file, which may be long before tomorrow."""
    last = pc.max(read_events(events, mapping)[schema.EVENT_TIME]).as_py().astimezone(UTC)
    # Right after it: a later instant would bar hours of the date in the east, where the date has begun.
    as_of = (last + timedelta(seconds=1)).replace(microsecond=0)
    return {"ForecastDate": f"{(last + timedelta(days=1)).date()}", "AsOf": f"{as_of:%Y-%m-%dT%H:%M:%SZ}"}


def run_forecast(
    state_machine_arn: str, execution_input: dict[str, Any], watch: Watcher = lambda _runs, _progress: None
) -> dict[str, Any]:
    """Run the workflow to its end and return its output; stop it if the caller is interrupted.

    Raises
    ------
    DemoError
        It failed; the message has its state, its error and its own cause.
    """
    sfn = boto3.client("stepfunctions")
    execution = execute(sfn, boto3.client("logs"), state_machine_arn, execution_input, watch)
    if execution.status != "SUCCEEDED":
        headline, *cause = explanation(execution).splitlines()
        raise DemoError(headline, "\n".join(cause), f"The history of {execution.arn} holds every state.")
    output: dict[str, Any] = json.loads(sfn.describe_execution(executionArn=execution.arn)["output"])
    return output


def save_plan(output: dict[str, Any], file: Path) -> Path:
    """Write all rows of the plan that stands, withheld ones too, as CSV in the order of sending."""
    uri = output["run"]["Uris"]["Plans"].replace(output["run"]["RunId"], output["planned"]["run_id"])
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    keys = sorted(item["Key"] for page in pages for item in page.get("Contents", []) if item["Size"])
    tables = [pq.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())) for key in keys]
    file.parent.mkdir(parents=True, exist_ok=True)
    pa.csv.write_csv(pa.concat_tables(tables).drop_columns(["propensity", "possible_hours", "salt"]), file)
    return file


def show_plan(console: Console, output: dict[str, Any]) -> None:
    """Print a few sends and the totals."""
    run, planned = output["run"], output["planned"]
    report, sends = planned["report"], planned["report"]["sends"]
    console.print(f"\nSend plan of {run['ForecastDate']} (the users' local date), campaign {run['Campaign']}\n")
    if planned["run_id"] != run["RunId"]:
        console.print(f"It is that of run {planned['run_id']}: a plan that was to be handed over stands.\n")
    table = Table(box=None)
    for name in ("user", "send at, UTC", "their clock", "chance", "arm", "source"):
        table.add_column(name)
    for send in report["examples"]:
        cells = send["send_at_utc"], send["send_at_local"][11:16], _percent(send["chance"]), send["arm"], send["source"]
        table.add_row(*map(_as_text, (send["user_id"], *cells)))
    console.print(table)
    sources = ", ".join(f"{count:,} by {source}" for source, count in sorted(report["sources"].items()))
    arms = ", ".join(f"{count:,} {arm}" for arm, count in sorted(sends["by_arm"].items()))
    busiest, most = max(sends["by_utc_hour"].items(), key=lambda item: item[1], default=("-", 0))
    console.print(f"\n{report['users']:,} users forecast: {sources}")
    withheld = ", ".join(f"{count:,} {reason}" for reason, count in sorted(sends["withheld"].items())) or "none"
    console.print(f"{sends['planned']:,} sends planned ({withheld} withheld): {arms}")
    console.print(
        f"Busiest hour {busiest} with {most:,}; moved for capacity {sends['moved']:,}: "
        f"{sends['loss']:.1%} fewer visits expected than at own best hours"
    )
    barred, full = f"{sends['barred']:,} barred by the rules", f"{sends['no_room']:,} because their hours are full"
    console.print(f"Not sent: {barred}, {full}")
    for line in (*report["notes"], *report["expectation"]):
        console.print(_as_text(line))
    drift = report["drift"]
    console.print(_as_text("Drift: " + ("; ".join(drift["reasons"]) if drift["alarm"] else "none beyond the limits")))
    show_lift(console, output["lift"])


def _as_text(value: str) -> Text:
    """Return what somebody else has written, such as a user's id, as it is: no markup, no escapes for the terminal."""
    return Text(printable(value))


def _percent(chance: float | None) -> str:
    if chance is None:
        return "-"
    return "<1%" if chance < 0.01 else f"{chance:.0%}"


if __name__ == "__main__":
    raise SystemExit(main())
