"""The cases of the mock file, as the local region runs them: what another interpreter's results are compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import boto3
import mock_config
from deployed_stack import wait_for

EXECUTION = "sample"
ROLE = "arn:aws:iam::123456789012:role/any"
CASES = [(name, case) for name, (_, cases, _) in mock_config.MACHINES.items() for case in cases]
"""Name of the state machine and of the case."""
FILE = mock_config.ROOT / "tests/stepfunctions_local/MockConfigFile.json"


@cache
def definition(machine: str) -> dict[str, Any]:
    return mock_config.definition(mock_config.MACHINES[machine][0])


def client(url: str) -> Any:
    return boto3.client(
        "stepfunctions",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def create(url: str, definitions: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Create state machines at an address; return their ARNs by name."""
    return {
        name: client(url).create_state_machine(name=name, definition=json.dumps(text), roleArn=ROLE)["stateMachineArn"]
        for name, text in definitions.items()
    }


def run(url: str, arns: Mapping[str, str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Run every case, all at the same time; return the result of each: status, error, cause, output, states entered.

    A case that does not end has the status ``RUNNING``.
    """
    api = client(url)
    started = {
        (machine, case): api.start_execution(stateMachineArn=f"{arns[machine]}#{case}", input="{}")["executionArn"]
        for machine, case in CASES
    }
    with suppress(TimeoutError):
        wait_for(
            lambda: [api.describe_execution(executionArn=arn)["status"] for arn in started.values()],
            lambda found: "RUNNING" not in found,
        )
    return {case: result(api, arn) for case, arn in started.items()}


def result(api: Any, arn: str) -> dict[str, Any]:
    found = api.describe_execution(executionArn=arn)
    events = api.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    return {
        "status": found["status"],
        "error": found.get("error"),
        "cause": found.get("cause"),
        "output": json.loads(found.get("output", "null").replace(arn.rpartition(":")[2], EXECUTION)),
        "entered": [e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e],
    }


def difference(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], machine: str, *, inner: bool = True
) -> dict[str, Any]:
    """Return what differs between two results of a case.

    Iterations of a Map have no order among one another, and one that fails stops the others wherever they are. With
    `inner` false the states within a Map or a Parallel are not compared at all. An execution that failed has no output.
    """
    compared = ("status", "error", "cause") if ours["status"] == "FAILED" else ("status", "output")
    found = {key: (ours[key], theirs[key]) for key in compared if ours[key] != theirs[key]}
    top = definition(machine)["States"]
    paths = [[state for state in result["entered"] if state in top] for result in (ours, theirs)]
    inside = [sorted(state for state in result["entered"] if state not in top) for result in (ours, theirs)]
    two = {"path": paths, "iterations": inside} if inner and ours["status"] == "SUCCEEDED" else {"path": paths}
    return {**found, **{key: tuple(lists) for key, lists in two.items() if lists[0] != lists[1]}}
