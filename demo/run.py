"""The demo from end to end: events, region, stack, execution, forecast, summary."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.compute as pc
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from demo import disk, stack
from demo.errors import DemoError
from demo.evaluation_report import fetch_report, remove_report
from demo.events import read_and_check
from demo.execution import Execution, execute, explanation
from demo.forecast import ask, example_request, read_visits
from demo.history import run_plan
from demo.lock import SAM_BUILD, locked
from demo.other_events import make_room
from demo.region import is_running, region
from demo.report import print_report
from demo.screen import Screen
from demo.simulator import Truth, World, best_possible_log_loss, concatenate, simulate
from demo.summary import Outcome, endpoint_action, evaluation_of, summarise, write_summary
from demo.upload import partition_files, replace_events
from visitcast.data import schema
from visitcast.events.mapping import EventsMapping

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Options:
    """Options of a run of the demo; without `events` it simulates `world`."""

    events: Path | None
    mapping: EventsMapping | None
    world: World
    execution_input: dict[str, Any]
    stack_name: str | None
    keep: bool
    home: Path
    output: Path


def run_demo(options: Options, console: Console) -> Outcome:
    """Run everything, print the report and write summary.json.

    Where the events cannot be read, summary and report of the run before stay as they are.
    """
    began = time.monotonic()
    outcome = Outcome()
    try:
        with locked(SAM_BUILD), Screen(console) as screen:
            _run(options, screen, outcome, began)
    except KeyboardInterrupt:
        outcome.failure = outcome.failure or "Interrupted."
        raise
    except (DemoError, ClientError, BotoCoreError) as error:
        # The first cause stays: what fails after it may be its consequence.
        outcome.failure = outcome.failure or f"{error}\n{disk.hint()}".rstrip()
    finally:
        outcome.seconds_total = time.monotonic() - began
        summary = summarise(outcome)
        path = None if outcome.events is None else write_summary(options.output, summary)
    print_report(console, summary)
    if path is not None:
        console.print(f"\nWritten: {path}", markup=False)
    if outcome.report is not None:
        console.print(f"Report of the evaluation, for a browser: {outcome.report}", markup=False)
    if is_running(options.home):
        console.print("Runs, models and forecasts in the browser: make console")
    else:
        console.print("To see runs, models and forecasts in the browser: make up && make demo && make console")
    return outcome


def _run(options: Options, screen: Screen, outcome: Outcome, began: float) -> None:
    logs = options.output / "logs"
    with ExitStack() as running:
        own = None
        if options.events is not None:
            # Before anything is built: events that cannot be used are refused within seconds.
            with screen.step("Read and check the events"):
                own, report = read_and_check(options.events, options.mapping)
            screen.console.print(report, markup=False)
        build = running.enter_context(stack.building(logs))  # continues while events are made and the region starts
        if own is None:
            with screen.step("Simulate events"):
                events, truth = _simulated(options.world)
        else:
            events, truth = own, None
        del own
        outcome.events = events.num_rows
        remove_report(options.output)
        first_event: datetime = pc.min(events[schema.EVENT_TIME]).as_py()
        # Thousands of small files take seconds to encode: meanwhile sam, another process, builds and deploys.
        encoder = running.enter_context(ThreadPoolExecutor(1))
        files = encoder.submit(lambda table: dict(partition_files(table)), events)
        del events
        with screen.step("Start the region"):
            running.enter_context(region(options.home, logs, keep=options.keep))
        with screen.step("sam build"):
            stack.built(build, logs)
        with screen.step("sam deploy"):
            # The table's partitions begin on a date that the stack sets: events before it would be left out in silence.
            stack.deploy(
                options.stack_name, logs, changed={"EventsStartDate": f"{first_event.astimezone(UTC):%Y-%m-%d}"}
            )
            deployed = stack.describe(boto3.client("cloudformation"), options.stack_name or stack.default_name())
        with screen.step("Put the events into the bucket") as progress:
            # A checksum for each of thousands of small files costs a sixth of the time; the transport has its own.
            s3 = boto3.client("s3", config=Config(request_checksum_calculation="when_required"))
            upload_began = time.monotonic()
            if options.events is not None:
                registry = boto3.client("sagemaker")
                make_room(s3, registry, deployed.bucket, deployed.model_versions, files.result(), options.events)
            replace_events(s3, deployed.bucket, files.result(), progress)
            outcome.seconds_upload = time.monotonic() - upload_began
        del files
        outcome.seconds_setup = time.monotonic() - began

        execution = execute(
            boto3.client("stepfunctions"),
            boto3.client("logs"),
            deployed.state_machine_arn,
            options.execution_input,
            screen.states,
        )
        outcome.execution = execution
        if execution.status != "SUCCEEDED":
            outcome.failure = explanation(execution)
        outcome.evaluation = evaluation_of(execution)
        if outcome.evaluation is not None:
            evaluation_key = run_plan(execution.states)["Keys"]["Evaluation"]
            outcome.report = fetch_report(boto3.client("s3"), deployed.bucket, evaluation_key, options.output)
        if truth is not None and outcome.evaluation is not None:
            outcome.best_possible_log_loss = best_possible_log_loss(
                truth, date.fromisoformat(outcome.evaluation["data"]["test_starts"])
            )
        with screen.step("Ask the endpoint"):
            outcome.endpoint = _endpoint(execution, deployed.endpoint)


def _simulated(world: World) -> tuple[pa.Table, Truth | None]:
    blocks = list(simulate(world))
    return pa.concat_tables(block.events for block in blocks), concatenate([block.truth for block in blocks])


def _endpoint(execution: Execution, default_name: str) -> dict[str, Any] | None:
    """Describe the endpoint and, after a run that succeeded, ask it for one forecast; None without an endpoint."""
    plan = run_plan(execution.states)
    name = plan.get("Names", {}).get("EndpointName", default_name)
    try:
        described = boto3.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "Could not find" in str(error):
            return None
        raise
    forecast = None
    trained = execution.status == "SUCCEEDED" and any(run.name == "Preprocess" for run in execution.states)
    if described["EndpointStatus"] == "InService" and trained:
        visits = read_visits(boto3.client("s3"), plan["InputFilePath"])
        forecast = ask(boto3.client("sagemaker-runtime"), name, example_request(visits))
    return {
        "name": name,
        "config": described["EndpointConfigName"],
        "status": described["EndpointStatus"],
        "action": endpoint_action(execution),
        "forecast": forecast,
    }
