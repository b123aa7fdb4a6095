"""The mock configuration for Step Functions Local fits the workflows: every case runs to its end.

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
from deployed_stack import wait_for
from sam_commands import local_region
from train_cases import INNER_ENDS

FILE = ROOT / "tests/stepfunctions_local/MockConfigFile.json"
ROLE = "arn:aws:iam::123456789012:role/any"
DESCRIBED = {"createProcessingJob", "createTrainingJob", "createHyperParameterTuningJob", "createTransformJob"}


def task_states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        if state["Type"] == "Task":
            yield name, state
        for part in (*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])):
            yield from task_states(part)


DEFINITIONS = {name: mock_config.definition(machine) for name, (machine, _, _) in mock_config.MACHINES.items()}
TASKS = {name: dict(task_states(definition)) for name, definition in DEFINITIONS.items()}
CASES = [(name, case) for name, (_, cases, _) in mock_config.MACHINES.items() for case in cases]


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
def executions(client: Any) -> dict[tuple[str, str], str]:
    """ARN of the execution of each case. All are started at once, since most of them wait."""
    arns = {
        name: client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"]
        for name, definition in DEFINITIONS.items()
    }
    return {
        (machine, case): client.start_execution(stateMachineArn=f"{arns[machine]}#{case}", input="{}")["executionArn"]
        for machine, case in CASES
    }


@pytest.mark.parametrize(("machine", "case"), CASES)
def test_every_case_runs_to_its_end_on_mocks_alone(
    client: Any, executions: dict[tuple[str, str], str], machine: str, case: str
) -> None:
    end, mocked = mock_config.MACHINES[machine][1][case]
    arn = executions[machine, case]
    found = wait_for(
        lambda: client.describe_execution(executionArn=arn), lambda execution: execution["status"] != "RUNNING"
    )
    events = client.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    entered = [e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e]
    assert entered[-1] == end, (entered[-1], found.get("error"), found.get("cause"))
    assert INNER_ENDS.get(case, end) in entered
    unknown = set(entered) & set(TASKS[machine]) ^ set(mocked)
    assert not unknown, f"Task states without a mock, or mocks of states not entered: {unknown}"
    # A Fail state whose cause cannot be put together ends as an error of the runtime.
    assert found.get("error") != "States.Runtime", found.get("cause")


def test_the_file_is_what_the_tool_prints() -> None:
    command = "PYTHONPATH=. .venv/bin/python tools/mock_config.py mocks > tests/stepfunctions_local/MockConfigFile.json"
    assert FILE.read_text(encoding="utf-8").strip() == mock_config.text(mock_config.mock_config()), f"Run {command}"


@pytest.mark.parametrize("machine", mock_config.MACHINES)
def test_every_task_state_is_mocked_in_some_case(machine: str) -> None:
    cases = mock_config.MACHINES[machine][1].values()
    assert {state for _, mocked in cases for state in mocked} == set(TASKS[machine])


def ends(machine: dict[str, Any]) -> Iterator[str]:
    """Yield the Fail states, those within a Map or a Parallel included."""
    for name, state in machine["States"].items():
        if state["Type"] == "Fail":
            yield name
        for part in (*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])):
            yield from ends(part)


@pytest.mark.parametrize("machine", mock_config.MACHINES)
def test_the_cases_reach_every_fail_state(machine: str) -> None:
    cases = mock_config.MACHINES[machine][1]
    reached = {name for case, (end, _) in cases.items() for name in (end, INNER_ENDS.get(case))}
    assert set(ends(DEFINITIONS[machine])) <= reached


OF_SAGEMAKER = {
    (machine, state, response)
    for machine, (_, cases, _) in mock_config.MACHINES.items()
    for _, mocked in cases.values()
    for state, response in mocked.items()
    if ":sagemaker:" in TASKS[machine][state]["Resource"]
}


@pytest.mark.parametrize(("machine", "state", "response"), sorted(OF_SAGEMAKER), ids=lambda text: str(text))
def test_a_mocked_answer_has_fields_of_the_service_only(machine: str, state: str, response: str) -> None:
    name = TASKS[machine][state]["Resource"].rpartition(":")[2].removesuffix(".sync")
    shape = answer_of(f"Describe{name[6:]}" if name in DESCRIBED else name[0].upper() + name[1:]).output_shape
    for outcome in mock_config.MACHINES[machine][2][response].values():
        unknown = set(outcome.get("Return", {})) - set(members(shape))
        assert not unknown, f"{shape} has no {unknown}"


def answer_of(operation: str) -> OperationModel:
    model = boto3.client("sagemaker", region_name="eu-central-1").meta.service_model
    return model.operation_model(operation)


def members(shape: Any) -> set[str]:
    return set(shape.members) if isinstance(shape, StructureShape) else set()
