"""The stays of an execution in its states, from the events of its history. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

JOB_NAMES = {
    "createTrainingJob": "TrainingJobName",
    "createProcessingJob": "ProcessingJobName",
    "createTransformJob": "TransformJobName",
}
"""Calls that start a job with a log, and the parameter that names the job."""
RUNNING, SUCCEEDED, CAUGHT, FAILED, STOPPED = "running", "succeeded", "caught", "failed", "stopped"
"""Status of a stay. `CAUGHT`: its last attempt failed and a Catch has handled the error."""


@dataclass
class Stay:
    """One stay in one state.

    Attributes
    ----------
    name : str
        Name of the state.
    entered : datetime
    left : datetime or None
        None while the execution is in the state.
    status : str
    attempts : int
        Tasks scheduled in it: more than one after retries.
    error, cause : str
        Of the last attempt that failed; kept after a retry that succeeded.
    jobs : list of tuple of str
        Kind (a key of `JOB_NAMES`) and name of each job that it started.
    depth : int
        1 inside an iteration of a Map or a branch of a Parallel, 0 outside.
    """

    name: str
    entered: datetime
    left: datetime | None = None
    status: str = RUNNING
    attempts: int = 0
    error: str = ""
    cause: str = ""
    jobs: list[tuple[str, str]] = field(default_factory=list)
    depth: int = 0

    def seconds(self, now: datetime) -> float:
        """Return the time spent in the state so far."""
        return max(0.0, ((self.left or now) - self.entered).total_seconds())


def stays(events: Sequence[Mapping[str, Any]]) -> list[Stay]:
    """List the stays in states, in the order they were entered.

    An event belongs to the stay that its chain of ``previousEventId`` leads back to: iterations of a Map run in
    parallel and have the same state names.
    """
    found: list[Stay] = []
    of_event: dict[int, Stay] = {}
    around: dict[int, Stay | None] = {}  # the stay that an open stay is in, by the id() of the inner one
    for event in events:
        current = of_event.get(event.get("previousEventId", 0))
        kind = event["type"]
        if kind.endswith("StateEntered"):
            outer = current if current is not None and current.left is None else None
            stay = Stay(
                event["stateEnteredEventDetails"]["name"],
                event["timestamp"],
                status=FAILED if kind.startswith("Fail") else RUNNING,
                depth=0 if outer is None else outer.depth + 1,
            )
            around[id(stay)] = outer
            found.append(stay)
            current = stay
        elif kind.endswith("StateExited"):
            current = _left(found, current, around, event["stateExitedEventDetails"]["name"])
            if current is not None:
                current.left = event["timestamp"]
                current.status = CAUGHT if current.status == CAUGHT else SUCCEEDED
        elif kind.startswith("Execution") and kind not in ("ExecutionStarted", "ExecutionRedriven"):
            _end(found, event)
        elif current is not None:
            _note(current, event)
        if current is not None:
            of_event[event["id"]] = current
    return found


def _left(found: Sequence[Stay], current: Stay | None, around: Mapping[int, Stay | None], name: str) -> Stay | None:
    """Find the open stay in a state: the current one, one around it, or else the earliest."""
    while current is not None and (current.name != name or current.left is not None):
        current = around.get(id(current))
    return current or next((stay for stay in found if stay.name == name and stay.left is None), None)


def _end(found: Sequence[Stay], event: Mapping[str, Any]) -> None:
    kind = event["type"]
    ends = {"ExecutionSucceeded": SUCCEEDED, "ExecutionAborted": STOPPED}
    for stay in found:
        if stay.left is None:
            stay.left = event["timestamp"]
            stay.status = ends.get(kind, FAILED)
            if stay.status == FAILED and not stay.error:
                stay.error, stay.cause = _error_of(event)


def _note(stay: Stay, event: Mapping[str, Any]) -> None:
    kind = event["type"]
    if kind in ("TaskScheduled", "LambdaFunctionScheduled"):
        stay.attempts += 1
        stay.status = RUNNING
        details = event.get("taskScheduledEventDetails", {})
        call = str(details.get("resource", "")).partition(".")[0]
        if call in JOB_NAMES:
            name = _object(details.get("parameters")).get(JOB_NAMES[call])
            if isinstance(name, str):
                stay.jobs.append((call, name))
    elif kind.endswith(("Failed", "TimedOut", "Aborted")) and not kind.startswith("MapIteration"):
        stay.status = CAUGHT
        stay.error, stay.cause = _error_of(event)


def _error_of(event: Mapping[str, Any]) -> tuple[str, str]:
    details: Mapping[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    return str(details.get("error", "")), reason(str(details.get("cause", "")))


def reason(cause: str) -> str:
    """Return the readable part of a cause: of a job's or a handler's description only the reason.

    >>> reason('The job failed. {"FailureReason": "out of memory", "TrainingJobArn": "..."}')
    'The job failed. out of memory'
    """
    prose, brace, rest = cause.partition("{")
    if not brace:
        return cause
    described = _object(brace + rest)
    found = [str(described[key]) for key in ("FailureReason", "ExitMessage", "errorMessage") if described.get(key)]
    return " ".join([prose.strip(), *found]).strip() if found else cause


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
