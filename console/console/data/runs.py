"""Executions of the two workflows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from console.data.history import Stay, stays
from console.data.stack import WORKFLOWS, Stack, client

SHOWN = 50
"""Executions of each workflow in the list."""
_PAGE = 200


@dataclass(frozen=True)
class Run:
    """An execution as the list shows it."""

    workflow: str
    name: str
    status: str
    started: datetime
    stopped: datetime | None

    @property
    def seconds(self) -> float:
        """Return the time that it has taken so far."""
        return ((self.stopped or datetime.now(UTC)) - self.started).total_seconds()


@dataclass(frozen=True)
class Details:
    """An execution with everything that its page shows.

    Attributes
    ----------
    run : Run
    error, cause : str
        Empty unless it failed.
    input, output : dict
        Empty where they are not JSON objects, or are not there yet.
    stays : list of Stay
    redrivable : bool
    """

    run: Run
    error: str
    cause: str
    input: dict[str, Any]
    output: dict[str, Any]
    stays: list[Stay]
    redrivable: bool


def list_runs(stack: Stack) -> list[Run]:
    """List the last executions of both workflows, the newest first."""
    found = []
    for workflow in WORKFLOWS:
        page = client("stepfunctions").list_executions(stateMachineArn=stack.machine(workflow), maxResults=SHOWN)
        found += [
            Run(workflow, item["name"], item["status"], item["startDate"], item.get("stopDate"))
            for item in page["executions"]
        ]
    return sorted(found, key=lambda run: run.started, reverse=True)


class Follower:
    """Reads one execution again and again; of its history only what is new."""

    def __init__(self, arn: str, workflow: str = "") -> None:
        self._arn, self._workflow, self._name = arn, workflow, arn.rpartition(":")[2]
        self._events: list[dict[str, Any]] = []

    def read(self) -> Details:
        """Return the execution as it is now.

        Raises
        ------
        botocore.exceptions.ClientError
            ``ExecutionDoesNotExist`` among others.
        """
        # Before the history, so that the history of an execution that has ended is complete.
        found = client("stepfunctions").describe_execution(executionArn=self._arn)
        self._read_events()
        run = Run(self._workflow, self._name, found["status"], found["startDate"], found.get("stopDate"))
        return Details(
            run=run,
            error=found.get("error", ""),
            cause=found.get("cause", ""),
            input=_object(found.get("input")),
            output=_object(found.get("output")),
            stays=stays(self._events),
            redrivable=found.get("redriveStatus") == "REDRIVABLE"
            or ("redriveStatus" not in found and found["status"] in ("FAILED", "ABORTED", "TIMED_OUT")),
        )

    def _read_events(self) -> None:
        """Read the history backwards, as far as it is new."""
        last = self._events[-1]["id"] if self._events else 0
        new: list[dict[str, Any]] = []
        options: dict[str, Any] = {"maxResults": _PAGE if last == 0 else 50}
        while True:
            page = client("stepfunctions").get_execution_history(
                executionArn=self._arn, reverseOrder=True, includeExecutionData=True, **options
            )
            new += [event for event in page["events"] if event["id"] > last]
            if "nextToken" not in page or len(page["events"]) == 0 or page["events"][-1]["id"] <= last:
                break
            options["nextToken"] = page["nextToken"]
        self._events += sorted(new, key=lambda event: event["id"])


def start(stack: Stack, workflow: str, execution_input: Mapping[str, Any]) -> str:
    """Start a workflow and return the execution's name."""
    answer = client("stepfunctions").start_execution(
        stateMachineArn=stack.to_start(workflow), input=json.dumps(execution_input)
    )
    return str(answer["executionArn"].rpartition(":")[2])


def stop(stack: Stack, workflow: str, name: str) -> None:
    """Stop an execution and the job that it waits for."""
    client("stepfunctions").stop_execution(
        executionArn=stack.execution(workflow, name), error="Stopped", cause="Stopped in the console."
    )


def redrive(stack: Stack, workflow: str, name: str) -> None:
    """Let a failed execution go on from where it failed."""
    client("stepfunctions").redrive_execution(executionArn=stack.execution(workflow, name))


def _object(text: str | None) -> dict[str, Any]:
    value = json.loads(text) if text else {}
    return value if isinstance(value, dict) else {}
