"""``python -m demo.forecast_run``: run the forecast workflow in the local region and show tomorrow's send plan."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from rich.console import Console
from rich.table import Table

from demo.errors import DemoError
from demo.region import region
from demo.stack import default_name

_POLL_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the workflow once; return 0 exactly when it succeeded."""
    parser = argparse.ArgumentParser(prog="python -m demo.forecast_run", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("build/localaws"), help="of the region (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("build/demo"), help="for logs (%(default)s)")
    parser.add_argument("--stack-name", help="default: the one in samconfig.toml")
    parser.add_argument("--input", default="{}", help="execution input, JSON (default: none)")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        with region(options.home, options.output, keep=True):
            outputs = stack_outputs(options.stack_name or default_name())
            show_plan(console, run(outputs["ForecastStateMachineArn"], json.loads(options.input)))
    except DemoError as error:
        console.print(f"FAILED\n{error}")
        return 1
    return 0


def stack_outputs(name: str) -> dict[str, str]:
    """Read the outputs of the deployed stack.

    Raises
    ------
    DemoError
        It is not deployed, or without the forecast workflow.
    """
    cloudformation = boto3.client("cloudformation")
    try:
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except cloudformation.exceptions.ClientError as error:
        raise DemoError(
            f"There is no stack {name} in this region.", str(error), "Run `make up`, then `make demo`, then again."
        ) from error
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    if "ForecastStateMachineArn" not in outputs:
        raise DemoError(
            f"The stack {name} has no forecast workflow.", f"Its outputs: {', '.join(outputs)}.", "Deploy it again."
        )
    return outputs


def run(state_machine_arn: str, execution_input: dict[str, Any]) -> dict[str, Any]:
    """Run the workflow to its end and return its output.

    Raises
    ------
    DemoError
        It failed; the cause is its own.
    """
    sfn = boto3.client("stepfunctions")
    started = sfn.start_execution(stateMachineArn=state_machine_arn, input=json.dumps(execution_input))
    while (found := sfn.describe_execution(executionArn=started["executionArn"]))["status"] == "RUNNING":
        time.sleep(_POLL_SECONDS)
    if found["status"] != "SUCCEEDED":
        raise DemoError(
            f"The forecast workflow ended as {found['status']}: {found.get('error', '')}",
            found.get("cause", ""),
            f"The history of {started['executionArn']} holds every state.",
        )
    output: dict[str, Any] = json.loads(found["output"])
    return output


def show_plan(console: Console, output: dict[str, Any]) -> None:
    """Print a few sends and the totals."""
    report = output["planned"]["report"]
    sends = report["sends"]
    console.print(f"Send plan of {output['run']['ForecastDate']} (the users' local date)\n")
    table = Table(box=None)
    for name in ("user", "send at, UTC", "their clock", "chance", "arm", "source"):
        table.add_column(name)
    for send in report["examples"]:
        table.add_row(
            send["user_id"],
            send["send_at_utc"],
            send["send_at_local"][11:16],
            f"{send['chance']:.0%}",
            send["arm"],
            send["source"],
        )
    console.print(table)
    sources = ", ".join(f"{count:,} by {source}" for source, count in sorted(report["sources"].items()))
    arms = ", ".join(f"{count:,} {arm}" for arm, count in sorted(sends["by_arm"].items()))
    busiest, most = max(sends["by_utc_hour"].items(), key=lambda item: item[1], default=("-", 0))
    console.print(f"\n{report['users']:,} users forecast: {sources}")
    console.print(f"{sends['planned']:,} sends planned: {arms}")
    console.print(
        f"Expected responses {sends['expected_responses']:,.0f}; busiest hour {busiest} with {most:,}; moved for "
        f"capacity {sends['moved']:,}, at a loss of at most {sends['loss_bound']:.2%}"
    )
    console.print(f"Without a send: {sends['barred']:,} barred by the rules, {sends['no_room']:,} for want of room")
    drift = report["drift"]
    console.print("Drift: " + ("; ".join(drift["reasons"]) if drift["alarm"] else "none beyond the limits"))
    show_lift(console, output)


def show_lift(console: Console, output: dict[str, Any]) -> None:
    """Print what is known of the lift."""
    found = output["lift"]["Lifts"]
    if not found:
        console.print("Lift: no sends yet whose time is over.")
    for lift in found:
        against = f"Lift over {lift['control']}"
        if lift["relative"] is None:
            console.print(f"{against}: {lift['verdict']}. {lift['reason']}")
        else:
            console.print(
                f"{against}: {lift['relative']:+.1%} (95 % interval {lift['relative_low']:+.1%} to "
                f"{lift['relative_high']:+.1%}): {lift['verdict']}"
            )


if __name__ == "__main__":
    sys.path.insert(1, str(Path(__file__).parent.parent / "containers"))
    raise SystemExit(main())
