"""What the steps of `tools/prove.py` share: runs of the workflows and their bill, and the error of a broken promise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import costs

from demo.errors import DemoError
from demo.execution import Execution, execute, history
from demo.forecast import ask, example_request, read_visits
from demo.history import run_plan
from demo.screen import Screen

POLL_SECONDS = 2.0


class UnprovenError(DemoError):
    """The stack did something else than its documents say."""


def require(condition: object, expected: str, found: object) -> None:
    """Raise `UnprovenError` unless a condition holds."""
    if not condition:
        raise UnprovenError(f"Expected: {expected}.", f"Found: {found}", "See the executions in the report.")


@dataclass
class Proof:
    """What the steps share: where they write, what they show, and what earlier steps have found."""

    environment: str
    logs: Path
    screen: Screen
    outputs: dict[str, str] = field(default_factory=dict)
    configs: list[str] = field(default_factory=list)
    """Endpoint configs that were in production, the newest last."""
    instance_hours: dict[str, float] = field(default_factory=dict)
    transitions: int = 0
    key: str = ""
    deployed_at: float = 0.0
    endpoint_since: float = 0.0

    def train(self, execution_input: dict[str, Any]) -> Execution:
        """Run the training workflow to its end."""
        return self._run("TrainStateMachineArn", execution_input)

    def forecast(self, execution_input: dict[str, Any]) -> Execution:
        """Run the forecast workflow to its end."""
        return self._run("ForecastStateMachineArn", execution_input)

    def _run(self, machine: str, execution_input: dict[str, Any]) -> Execution:
        sfn, logs = boto3.client("stepfunctions"), boto3.client("logs")
        execution = execute(sfn, logs, self.outputs[machine], execution_input, self.screen.states, POLL_SECONDS)
        self.screen.forget()
        events: list[Any] = list(history(sfn, execution.arn))
        for kind, hours in billed_hours(events).items():
            self.instance_hours[kind] = self.instance_hours.get(kind, 0.0) + hours
        self.transitions += len(execution.states)
        return execution

    def config(self) -> str:
        """Return the name of the endpoint's config."""
        name: str = boto3.client("sagemaker").describe_endpoint(EndpointName=self.outputs["EndpointName"])[
            "EndpointConfigName"
        ]
        return name

    def answer(self, execution: Execution) -> dict[str, Any]:
        """Ask the endpoint for a user of a run."""
        visits = read_visits(boto3.client("s3"), run_plan(execution.states)["InputFilePath"])
        runtime = boto3.client("sagemaker-runtime")
        found = ask(runtime, self.outputs["EndpointName"], example_request(visits))
        return {"user": found["user_id"], "date": found["date"], "best hour": found["best_hour"]}

    def dollars(self, now: float) -> float:
        """Estimate the bill so far from list prices, times and the instances of jobs and endpoint."""
        if not self.deployed_at:
            return 0.0
        prices = json.loads(costs.PRICES.read_text(encoding="utf-8"))
        hours = dict(self.instance_hours)
        if self.endpoint_since:
            kind = costs.default_types()["Endpoint"]
            hours[kind] = hours.get(kind, 0.0) + (now - self.endpoint_since) / 3600
        return (
            costs.image_builds(prices)
            + costs.instance_hours(hours, prices)
            + costs.transitions(self.transitions, prices)
            + costs.standing_hour(prices) * (now - self.deployed_at) / 3600
        )


def billed_hours(events: list[Any]) -> dict[str, float]:
    """Return the hours of each instance type that an execution's jobs used, start-up included.

    Parameters
    ----------
    events
        Its history.
    """
    hours: dict[str, float] = {}
    tasks: dict[int, Any] = {}  # the event that scheduled the task to which an event belongs
    for event in events:
        if event["type"] == "TaskScheduled":
            tasks[event["id"]] = event
        elif (task := tasks.get(event.get("previousEventId", 0))) and event["type"].startswith("Task"):
            tasks[event["id"]] = task
            details = task["taskScheduledEventDetails"]
            if event["type"] in ("TaskSucceeded", "TaskFailed", "TaskTimedOut") and "Job" in details["resource"]:
                seconds = (event["timestamp"] - task["timestamp"]).total_seconds()
                for kind, count in instances(json.loads(details["parameters"])):
                    hours[kind] = hours.get(kind, 0.0) + count * seconds / 3600
    return hours


def instances(parameters: Any) -> Iterator[tuple[str, int]]:
    """Yield type and number of the instances that a request for a job names.

    >>> list(instances({"ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2}}))
    [('ml.m5.xlarge', 2)]
    """
    if isinstance(parameters, dict):
        if "InstanceType" in parameters:
            yield parameters["InstanceType"], int(parameters.get("InstanceCount", 1))
        for value in parameters.values():
            yield from instances(value)
