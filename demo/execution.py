"""Run the training workflow once and report its progress."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from demo.history import StateRun, state_runs
from demo.joblog import JobLog, Progress

if TYPE_CHECKING:
    from mypy_boto3_logs.client import CloudWatchLogsClient
    from mypy_boto3_stepfunctions.client import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

_POLL_SECONDS = 0.5
_REASONS = ("FailureReason", "ExitMessage", "errorMessage", "StateChangeReason")
"""Keys of a job's, a handler's or a query's description that hold the reason of a failure."""
_JSON = json.JSONDecoder()

Watcher = Callable[[list[StateRun], Callable[[StateRun], Progress | None]], None]
"""Called repeatedly with the stays in states so far, and a function that returns the progress of a stay's job."""


@dataclass(frozen=True)
class Execution:
    """An execution that has ended.

    Attributes
    ----------
    arn : str
    status : str
        SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
    error, cause : str
        Empty when it succeeded.
    states : list of StateRun
        Every stay in a state, in the order they were entered.
    """

    arn: str
    status: str
    error: str
    cause: str
    states: list[StateRun]


def execute(
    sfn: SFNClient,
    logs: CloudWatchLogsClient,
    state_machine_arn: str,
    execution_input: dict[str, Any],
    watch: Watcher,
    pause: float = _POLL_SECONDS,
) -> Execution:
    """Start an execution, follow it to its end; if the caller is interrupted, stop it and the job it runs."""
    arn = sfn.start_execution(stateMachineArn=state_machine_arn, input=json.dumps(execution_input))["executionArn"]
    ended = False
    job_logs: dict[str, JobLog] = {}

    def progress(run: StateRun) -> Progress | None:
        if run.job is None or not run.job[1]:
            return None
        kind, job = run.job
        return job_logs.setdefault(job, JobLog(logs, kind, job)).latest()

    try:
        while True:
            # Read before the history, so that the last history is complete.
            answer = sfn.describe_execution(executionArn=arn)
            ended = answer["status"] != "RUNNING"
            runs = state_runs(list(history(sfn, arn)))
            watch(runs, progress)
            if ended:
                return Execution(arn, answer["status"], answer.get("error", ""), answer.get("cause", ""), runs)
            time.sleep(pause)
    finally:
        if not ended:
            sfn.stop_execution(executionArn=arn, error="Interrupted", cause="The demo was stopped.")


def explanation(execution: Execution) -> str:
    """Describe in which state and why an execution failed; only the reason is kept of a job's description."""
    where = f" in '{execution.states[-1].name}'" if execution.states else ""
    lines = [f"The execution ended{where}: {execution.error or execution.status}", *readable(execution.cause)]
    return "\n".join(lines)


def readable(cause: str) -> list[str]:
    """Split a cause into lines for people: prose as it is, and of each JSON description in it the reasons alone."""
    lines, start = [], 0
    while (brace := cause.find("{", start)) >= 0:
        try:
            described, end = _JSON.raw_decode(cause, brace)
        except ValueError:  # a brace of the prose
            break
        lines += [cause[start:brace].strip(), *(_reasons(described) or [cause[brace:end]])]
        start = end
    lines.append(cause[start:].strip())
    return [line for line in lines if line]


def _reasons(described: Any) -> list[str]:
    """Return the reasons in a description, in the order of `_REASONS`, wherever they are nested."""
    found: dict[str, list[str]] = {key: [] for key in _REASONS}

    def look(value: Any) -> None:
        for key, inner in value.items() if isinstance(value, dict) else ():
            if key in found and isinstance(inner, str) and inner:
                found[key] += readable(inner)
            else:
                look(inner)

    look(described)
    # A job that exits with a message has a failure reason that repeats less of it.
    return list(dict.fromkeys(line for key in _REASONS for line in found[key]))


def history(sfn: SFNClient, arn: str) -> Iterator[HistoryEventTypeDef]:
    """Yield the events of an execution so far."""
    for page in sfn.get_paginator("get_execution_history").paginate(executionArn=arn, includeExecutionData=True):
        yield from page["events"]
