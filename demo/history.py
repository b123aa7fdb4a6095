"""The progress of an execution, read from the events of its history. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

_JOB_NAMES = {"createTrainingJob": "TrainingJobName", "createProcessingJob": "ProcessingJobName"}


@dataclass
class StateRun:
    """One stay in one state.

    Attributes
    ----------
    name : str
        Name of the state.
    entered_at : datetime
    left_at : datetime or None
        None while the execution is in the state.
    failed : bool
        Whether it is a Fail state, or was never left.
    caught : bool
        Whether its latest attempt ended in an error. A Catch has handled it, unless a retry follows.
    attempts : int
        Tasks scheduled in it: more than one after retries.
    job : tuple of str or None
        Kind (``createTrainingJob`` or ``createProcessingJob``) and name of the latest job that it started.
    output : dict
        JSON output, empty if it has none.
    """

    name: str
    entered_at: datetime
    left_at: datetime | None = None
    failed: bool = False
    caught: bool = False
    attempts: int = 0
    job: tuple[str, str] | None = None
    output: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Time spent in the state; zero while it lasts."""
        return (self.left_at - self.entered_at).total_seconds() if self.left_at else 0.0


def state_runs(events: Sequence[HistoryEventTypeDef]) -> list[StateRun]:
    """List the stays in states, in the order they were entered.

    An event belongs to the stay that its chain of ``previousEventId`` leads back to: iterations of a Map run in
    parallel and bear the same state names.
    """
    runs: list[StateRun] = []
    stay_of: dict[int, StateRun] = {}  # by event id
    outer: dict[int, StateRun | None] = {}  # stay that an open stay lies in, by the id() of the inner one
    for event in events:
        current = stay_of.get(event.get("previousEventId", 0))
        kind = event["type"]
        if kind.endswith("StateEntered"):
            details = event["stateEnteredEventDetails"]
            run = StateRun(details["name"], event["timestamp"], failed=kind.startswith("Fail"))
            outer[id(run)] = current if current is not None and current.left_at is None else None
            runs.append(run)
            current = run
        elif kind.endswith("StateExited"):
            details_out = event["stateExitedEventDetails"]
            current = _stay(runs, current, outer, details_out["name"])
            if current is not None:
                current.left_at = event["timestamp"]
                current.output = _json(details_out.get("output"))
        elif kind.startswith("Execution") and kind != "ExecutionStarted":
            for run in runs:
                if run.left_at is None:
                    run.left_at = event["timestamp"]
                    run.failed = run.failed or kind != "ExecutionSucceeded"
        elif current is not None:
            _note(current, event)
        if current is not None:
            stay_of[event["id"]] = current
    return runs


def seconds_by_state(runs: Iterable[StateRun]) -> dict[str, float]:
    """Time spent in each state, all stays together, in order of first entry."""
    seconds: dict[str, float] = {}
    for run in runs:
        seconds[run.name] = seconds.get(run.name, 0.0) + run.seconds
    return seconds


def run_plan(runs: Iterable[StateRun]) -> dict[str, Any]:
    """Names, addresses and options of the run, as returned by Prepare run; empty before that."""
    for run in runs:
        plan = run.output.get("run")
        if isinstance(plan, dict):
            return plan
    return {}


def latest_output(runs: Sequence[StateRun], key: str) -> Any:
    """Value of `key` in the latest output that has it; None if none has."""
    return next((run.output[key] for run in reversed(runs) if key in run.output), None)


def _note(run: StateRun, event: HistoryEventTypeDef) -> None:
    kind = event["type"]
    if kind in ("TaskScheduled", "LambdaFunctionScheduled"):
        run.attempts += 1
        run.caught = False
        details: Mapping[str, Any] = event.get("taskScheduledEventDetails", {})
        api = str(details.get("resource", "")).partition(".")[0]
        if api in _JOB_NAMES:
            run.job = (api, str(_json(details.get("parameters")).get(_JOB_NAMES[api], "")))
    elif kind in ("TaskFailed", "TaskTimedOut", "TaskSubmitFailed", "LambdaFunctionFailed", "MapStateFailed"):
        run.caught = True


def _stay(
    runs: Sequence[StateRun], current: StateRun | None, outer: Mapping[int, StateRun | None], name: str
) -> StateRun | None:
    """Find the open stay in state `name`: the current one, one around it, or else the earliest."""
    while current is not None and (current.name != name or current.left_at is not None):
        current = outer.get(id(current))
    return current or next((run for run in runs if run.name == name and run.left_at is None), None)


def _json(text: str | None) -> dict[str, Any]:
    value = json.loads(text) if text else {}
    return value if isinstance(value, dict) else {}
