"""Executions with mocked tasks, which are started with ``<state machine ARN>#<test case>``.

As in Step Functions Local the environment variable ``SFN_MOCK_CONFIG`` names the file, which has the same format:
https://docs.aws.amazon.com/step-functions/latest/dg/sfn-local-mock-cfg-file.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from moto.stepfunctions.exceptions import StateMachineDoesNotExist
from moto.stepfunctions.parser.mocking.mock_config import (
    MockedResponse,
    MockedResponseReturn,
    MockedResponseThrow,
    MockTestCase,
    StateMockedResponses,
)

VARIABLE = "SFN_MOCK_CONFIG"

active: dict[str, MockTestCase] = {}
"""Test case by the ARN of its execution."""


def load(machine: str, case: str) -> MockTestCase:
    """Return a test case of a state machine.

    Raises
    ------
    StateMachineDoesNotExist
        The file or the test case does not exist.
    """
    path = os.environ.get(VARIABLE, "")
    document = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    states = document.get("StateMachines", {}).get(machine, {}).get("TestCases", {}).get(case)
    if states is None:
        raise StateMachineDoesNotExist(f"State Machine Does Not Exist: {VARIABLE}={path} has no {machine}#{case}")
    responses = document["MockedResponses"]
    mocked = [StateMockedResponses(state, name, list(_attempts(responses[name]))) for state, name in states.items()]
    return MockTestCase(machine, case, mocked)


def _attempts(response: Mapping[str, Any]) -> Iterator[MockedResponse]:
    """Yield the outcomes of a task's attempts, which are numbered from 0 or given as a range such as ``1-3``."""
    for attempts, outcome in response.items():
        first, _, last = attempts.partition("-")
        numbers = int(first), int(last or first)
        if "Return" in outcome:
            yield MockedResponseReturn(*numbers, outcome["Return"])
        else:
            yield MockedResponseThrow(*numbers, outcome["Throw"]["Error"], outcome["Throw"]["Cause"])


def with_mock_case(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give an execution the mocked responses of its test case."""

    def environment(self: Any) -> Any:
        env = original(self)
        env.mock_test_case = active.pop(self._evaluation_details.execution_details.arn, None)
        return env

    return environment
