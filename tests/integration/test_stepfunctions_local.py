"""The mock configuration for Step Functions Local fits the workflow: every case runs to its end.

Runs in a region of its own, which takes the same file; or in Step Functions Local, where ``SFN_ENDPOINT_URL`` leads to
one (docs/testing.md says how to start it).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
import mock_config
import pytest
from asl_lint import ROOT
from botocore.model import OperationModel, StructureShape
from deployed_stack import local_region, wait_for

FILE = ROOT / "tests/stepfunctions_local/MockConfigFile.json"
DEFINITION = mock_config.definition()
ROLE = "arn:aws:iam::123456789012:role/any"
DESCRIBED = {"createProcessingJob", "createTrainingJob", "createHyperParameterTuningJob"}


def task_states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        if state["Type"] == "Task":
            yield name, state
        for part in (*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])):
            yield from task_states(part)


TASKS = dict(task_states(DEFINITION))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options: dict[str, str] = {
        "region_name": "eu-central-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    if url := os.environ.get("SFN_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL_SFN"):
        yield boto3.client("stepfunctions", endpoint_url=url, **options)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFN_MOCK_CONFIG", str(FILE))
        with local_region(tmp_path_factory.mktemp("region")) as url:
            yield boto3.client("stepfunctions", endpoint_url=url, **options)


@pytest.fixture(scope="module")
def machine(client: Any) -> str:
    created = client.create_state_machine(name=mock_config.MACHINE, definition=json.dumps(DEFINITION), roleArn=ROLE)
    return str(created["stateMachineArn"])


@pytest.mark.parametrize("case", mock_config.CASES)
def test_every_case_runs_to_its_end_on_mocks_alone(client: Any, machine: str, case: str) -> None:
    end, mocked = mock_config.CASES[case]
    arn = client.start_execution(stateMachineArn=f"{machine}#{case}", input="{}")["executionArn"]
    found = wait_for(
        lambda: client.describe_execution(executionArn=arn), lambda execution: execution["status"] != "RUNNING"
    )
    events = client.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    entered = [e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e]
    assert entered[-1] == end, (entered[-1], found.get("error"), found.get("cause"))
    assert set(entered) & set(TASKS) == set(mocked), "a Task state without a mock, or a mock of a state not entered"
    # A Fail state whose cause cannot be put together ends as an error of the runtime.
    assert found.get("error") != "States.Runtime", found.get("cause")


def test_the_file_is_what_the_tool_prints() -> None:
    command = "PYTHONPATH=. .venv/bin/python tools/mock_config.py mocks > tests/stepfunctions_local/MockConfigFile.json"
    assert FILE.read_text(encoding="utf-8").strip() == mock_config.text(mock_config.mock_config()), f"Run {command}"


def test_every_task_state_is_mocked_in_some_case() -> None:
    assert {state for _, mocked in mock_config.CASES.values() for state in mocked} == set(TASKS)


OF_SAGEMAKER = {
    (state, response)
    for _, mocked in mock_config.CASES.values()
    for state, response in mocked.items()
    if ":sagemaker:" in TASKS[state]["Resource"]
}


@pytest.mark.parametrize(("state", "response"), sorted(OF_SAGEMAKER), ids=lambda text: str(text))
def test_a_mocked_answer_has_fields_of_the_service_only(state: str, response: str) -> None:
    name = TASKS[state]["Resource"].rpartition(":")[2].removesuffix(".sync")
    shape = answer_of(f"Describe{name[6:]}" if name in DESCRIBED else name[0].upper() + name[1:]).output_shape
    for outcome in mock_config.RESPONSES[response].values():
        unknown = set(outcome.get("Return", {})) - set(members(shape))
        assert not unknown, f"{shape} has no {unknown}"


def answer_of(operation: str) -> OperationModel:
    model = boto3.client("sagemaker", region_name="eu-central-1").meta.service_model
    return model.operation_model(operation)


def members(shape: Any) -> set[str]:
    return set(shape.members) if isinstance(shape, StructureShape) else set()
