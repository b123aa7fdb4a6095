"""Executions with mocked tasks, which are started with ``<state machine ARN>#<test case>``.

As in Step Functions Local the environment variable ``SFN_MOCK_CONFIG`` names the file, which has the same format:
https://docs.aws.amazon.com/step-functions/latest/dg/sfn-local-mock-cfg-file.html
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
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


class CountedCase(MockTestCase):
    """A test case that counts how often each state has been invoked in the execution, over all iterations of a Map.

    Step Functions Local 2.0.0 counts so (measured: floci-io/floci#3254).
    """

    def __init__(self, machine: str, case: str, responses: list[StateMockedResponses]) -> None:
        super().__init__(machine, case, responses)
        self._invocations: Counter[str] = Counter()
        self._lock = threading.Lock()

    def next_response(self, state: str) -> MockedResponse:
        """Return the response to the next invocation of a state.

        Raises
        ------
        LookupError
            There is none: the execution ends with States.Runtime.
        """
        with self._lock:
            number = self._invocations[state]
            self._invocations[state] += 1
        responses = self.state_mocked_responses[state].mocked_responses
        if number >= len(responses):
            raise LookupError(f"The mocked responses of the state '{state}' have no index {number}")
        return responses[number]


active: dict[str, CountedCase] = {}
"""Test case by the ARN of its execution."""


def next_response(env: Any) -> MockedResponse:
    """Return the mocked response of the state that an execution is in."""
    response: MockedResponse = env.mock_test_case.next_response(env.next_state_name)
    return response


def load(machine: str, case: str) -> CountedCase:
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
    return CountedCase(machine, case, mocked)


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
