"""State machines and executions in a terminal; tests/integration/test_notebooks.py has them in notebooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from console_client import ROOT
from moto import mock_aws

from console.notebook import ExecutionFailedError, render_graph, render_progress

WELL: dict[str, Any] = {
    "StartAt": "Look",
    "States": {
        "Look": {"Type": "Pass", "Result": {"number": 1}, "Next": "Enough?"},
        "Enough?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.number", "NumericEquals": 1, "Next": "Look again"}],
            "Default": "Done",
        },
        "Look again": {"Type": "Pass", "Result": {"number": 2}, "Next": "Enough?"},
        "Done": {"Type": "Succeed"},
    },
}
ILL: dict[str, Any] = {
    "StartAt": "Look",
    "States": {
        "Look": {"Type": "Pass", "Next": "Nothing found"},
        "Nothing found": {"Type": "Fail", "Error": "NothingFound", "Cause": "No <b>rows</b>."},
    },
}


@pytest.fixture(autouse=True)
def _region() -> Iterator[None]:
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        yield


def deployed(definition: dict[str, Any]) -> str:
    answer = boto3.client("stepfunctions").create_state_machine(
        name="machine", definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/any"
    )
    return str(answer["stateMachineArn"])


def started(definition: dict[str, Any]) -> str:
    arn = deployed(definition)
    return str(boto3.client("stepfunctions").start_execution(stateMachineArn=arn, input="{}")["executionArn"])


@pytest.mark.parametrize("workflow", ["train", "forecast"])
def test_a_graph_is_a_picture_for_a_notebook_and_a_list_for_a_terminal(workflow: str) -> None:
    definition = json.loads((ROOT / f"statemachine/{workflow}.asl.json").read_text())
    found = render_graph(deployed(definition))
    assert found.svg.startswith("<svg")
    names = [name for name, state in definition["States"].items() if state["Type"] != "Fail"]
    listed = [line.strip().rpartition(" (")[0] for line in repr(found).splitlines()[1:]]
    assert [name for name in names if name not in listed or f'data-state="{name}"' not in found.svg] == []
    assert 'src="data:image/svg+xml;base64,' in found._repr_html_()


def test_a_terminal_shows_a_line_for_each_state_and_the_output_is_returned(capsys: pytest.CaptureFixture[str]) -> None:
    assert render_progress(started(WELL), pause=0.05) == {"number": 2}
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("✓ ")[2] for line in lines] == ["Look", "Enough?", "Look again", "Done"]
    assert all("0.0 s" in line for line in lines)


def test_a_failure_is_an_error_with_state_and_cause(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExecutionFailedError, match=r"ended at 'Nothing found': NothingFound\. No <b>rows</b>\."):
        render_progress(started(ILL), pause=0.05)
    assert "✗ Nothing found" in capsys.readouterr().out
