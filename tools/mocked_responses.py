"""What mocked responses for Step Functions Local are made of, for the cases of both state machines.

https://docs.aws.amazon.com/step-functions/latest/dg/sfn-local-mock-cfg-file.html
"""

from __future__ import annotations

from typing import Any

Response = dict[str, dict[str, Any]]
"""Outcomes by the invocations that they stand for, such as ``"0-2"``."""
Case = dict[str, str]
"""Name of a response by the Task state that gets it."""


def returns(value: Any, invocations: str = "0") -> Response:
    """Return a response for the invocations of a state, which are counted over the whole execution."""
    return {invocations: {"Return": value}}


def throws(error: str, cause: str, invocations: str = "0") -> Response:
    """Return an error for the invocations."""
    return {invocations: {"Throw": {"Error": error, "Cause": cause}}}


def function(payload: Any, invocations: str = "0") -> Response:
    """Return the response of a function."""
    return returns({"StatusCode": 200, "Payload": payload}, invocations)


def without(case: Case, *states: str) -> Case:
    """Return a case without some of its states."""
    return {state: response for state, response in case.items() if state not in states}


def no_quota(use: str, invocations: str = "0") -> Response:
    """Return what SageMaker says of a new account's quota, shortened."""
    cause = f"The limit 'ml.m5.xlarge for {use} usage' is 0 Instances, with current utilization of 0 Instances."
    return throws("SageMaker.ResourceLimitExceededException", cause, invocations)
