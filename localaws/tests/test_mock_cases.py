"""Executions on mocked responses, as Step Functions Local has them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from region import MOCKS, ROLE, Region
from state_machines import machine, output

CALL = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Parameters": {"FunctionName": "nobody"},
    "OutputPath": "$.Payload",
}


def run_case(region: Region, name: str, definition: Any, responses: dict[str, Any], document: Any) -> dict[str, Any]:
    """Run a machine whose state ``Call`` has mocked responses."""
    (region.home / MOCKS).write_text(
        json.dumps(
            {
                "StateMachines": {name: {"TestCases": {"Case": {"Call": "Answers"}}}},
                "MockedResponses": {"Answers": responses},
            }
        )
    )
    client = region.client("stepfunctions")
    arn = client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"]
    started = client.start_execution(stateMachineArn=f"{arn}#Case", input=json.dumps(document))
    return region.finished(started["executionArn"])


def answer(payload: Any) -> dict[str, Any]:
    return {"Return": {"StatusCode": 200, "Payload": payload}}


def in_map(**options: Any) -> dict[str, Any]:
    inner = {"StartAt": "Call", "States": {"Call": {**CALL, "End": True, **options}}}
    return machine({"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 1, "ItemProcessor": inner})


def test_invocations_are_counted_over_all_iterations_of_a_map(region: Region) -> None:
    responses = {"0": answer("first"), "1-2": answer("later")}
    assert output(run_case(region, "counted", in_map(), responses, {"items": [1, 2, 3]})) == ["first", "later", "later"]


def test_a_retry_is_an_invocation_too(region: Region) -> None:
    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    responses = {"0": {"Throw": {"Error": "Busy", "Cause": "later"}}, "1": answer("a"), "2": answer("b")}
    assert output(run_case(region, "retried", in_map(Retry=retry), responses, {"items": [1, 2]})) == ["a", "b"]


def test_a_polling_loop_ends_at_the_answer_that_ends_it(region: Region) -> None:
    definition = {
        "StartAt": "Call",
        "States": {
            "Call": {**CALL, "Next": "Done?"},
            "Done?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.state", "StringEquals": "DONE", "Next": "Done"}],
                "Default": "Call",
            },
            "Done": {"Type": "Succeed"},
        },
    }
    responses = {"0-3": answer({"state": "RUNNING"}), "4": answer({"state": "DONE"})}
    assert output(run_case(region, "polled", definition, responses, {})) == {"state": "DONE"}


@pytest.mark.parametrize("catch", [[], [{"ErrorEquals": ["States.ALL"], "Next": "Call"}]])
def test_an_invocation_without_a_response_is_an_error_of_the_runtime(region: Region, catch: list[Any]) -> None:
    failed = run_case(region, f"short-{len(catch)}", in_map(Catch=catch), {"0": answer("only")}, {"items": [1, 2]})
    assert failed["error"] == "States.Runtime"
    assert "'Call' have no index 1" in failed["cause"]
