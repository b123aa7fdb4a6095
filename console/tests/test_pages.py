"""Pages of a stack in moto: what they show, start and refuse. The local region has the rest (tests/integration)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from console_client import ORIGIN, browser
from moto import mock_aws
from starlette.testclient import TestClient

from console.data import stack

FROM_HERE = {"origin": ORIGIN}
MARKUP = "<script>alert(1)</script>"
MACHINE = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def machines(aws: None) -> dict[str, str]:
    """A deployed stack: its two state machines, by workflow."""
    sfn = boto3.client("stepfunctions")
    role = "arn:aws:iam::123456789012:role/any"
    arns = {
        name: sfn.create_state_machine(name=f"visitcast-{name}-test", definition=json.dumps(MACHINE), roleArn=role)[
            "stateMachineArn"
        ]
        for name in ("train", "forecast")
    }
    values = {
        "BucketName": "bucket",
        "DatabaseName": "visitcast_test",
        "WorkGroupName": "visitcast-test",
        "ModelPackageGroupName": "visitcast-test",
        "TrainStateMachineArn": arns["train"],
        "ForecastStateMachineArn": arns["forecast"],
    }
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {key: {"Value": value} for key, value in values.items()},
    }
    boto3.client("cloudformation").create_stack(StackName="visitcast-test", TemplateBody=json.dumps(template))
    return arns


@pytest.fixture
def client(machines: dict[str, str]) -> TestClient:
    return browser(allow_runs=True)


def start(machines: dict[str, str], document: Any, name: str = "one") -> str:
    arn: str = boto3.client("stepfunctions").start_execution(
        stateMachineArn=machines["train"], name=name, input=json.dumps(document)
    )["executionArn"]
    return arn


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("path", ["/runs", "/model", "/forecasts", "/plan", "/lift", "/start/train", "/runs/train/one"])
def test_without_the_stack_the_page_says_what_to_do(path: str) -> None:
    answer = browser().get(path)
    assert answer.status_code == 404
    assert "There is no stack visitcast-test" in answer.text
    assert "make up" in answer.text


@pytest.mark.parametrize(
    ("path", "words"), [("/runs", "No execution yet."), ("/lift", "No forecast run has measured a lift yet.")]
)
def test_an_empty_page_says_so(client: TestClient, path: str, words: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert words in answer.text


def test_a_run_that_is_not_there_is_not_found(client: TestClient) -> None:
    answer = client.get("/runs/train/nowhere")
    assert answer.status_code == 404
    assert "ExecutionDoesNotExist" in answer.text


def test_the_list_links_each_run(client: TestClient, machines: dict[str, str]) -> None:
    start(machines, {})
    text = client.get("/runs").text
    assert 'href="/runs/train/one"' in text
    assert "running" in text


def test_what_came_from_elsewhere_is_text(client: TestClient, machines: dict[str, str]) -> None:
    start(machines, {"TrainingJobName": MARKUP})
    text = client.get("/runs/train/one").text
    assert MARKUP not in text
    assert escape(MARKUP) in text


def test_no_page_has_anything_inline(client: TestClient, machines: dict[str, str]) -> None:
    """The content security policy would stop it."""
    start(machines, {})
    for path in ("/runs", "/runs/train/one", "/start/train", "/start/forecast", "/lift", "/nowhere"):
        text = client.get(path).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), path
        assert all(re.search(r'src="/static/', tag) for tag in re.findall(r"<script[^>]*>", text)), path
        assert not re.search(r"""(?:src|href|action)="(?:https?:)?//""", text), path


def test_the_form_starts_a_run_with_what_was_filled_in(client: TestClient, machines: dict[str, str]) -> None:
    answer = client.post(
        "/start/train", data={"CrossValidation.Folds": "2", "Hyperparameters": '{"units": 8}'}, headers=FROM_HERE
    )
    assert answer.status_code == 303
    name = answer.headers["location"].removeprefix("/runs/train/")
    arn = machines["train"].replace(":stateMachine:", ":execution:") + f":{name}"
    found = boto3.client("stepfunctions").describe_execution(executionArn=arn)
    assert json.loads(found["input"]) == {"CrossValidation": {"Folds": 2}, "Hyperparameters": {"units": 8}}


def test_a_wrong_form_starts_nothing_and_keeps_what_was_filled_in(client: TestClient, machines: dict[str, str]) -> None:
    answer = client.post("/start/train", data={"CrossValidation.Folds": "99"}, headers=FROM_HERE)
    assert answer.status_code == 422
    assert 'value="99"' in answer.text
    assert "It must be at most 7." in answer.text
    assert boto3.client("stepfunctions").list_executions(stateMachineArn=machines["train"])["executions"] == []


def test_a_form_that_is_too_large_is_refused(client: TestClient) -> None:
    answer = client.post("/start/train", content=b"a=" + b"x" * 300_000, headers=FROM_HERE)
    assert answer.status_code == 400


def test_a_run_can_be_started_again_with_its_input(client: TestClient, machines: dict[str, str]) -> None:
    start(machines, {"TrainingJobName": "again"})
    assert 'value="again"' in client.get("/start/train", params={"from": "one"}).text


def test_a_stopped_run_is_stopped_and_its_stream_ends(client: TestClient, machines: dict[str, str]) -> None:
    arn = start(machines, {})
    answer = client.post("/runs/train/one/stop", headers=FROM_HERE)
    assert answer.headers["location"] == "/runs/train/one"
    assert boto3.client("stepfunctions").describe_execution(executionArn=arn)["status"] == "ABORTED"
    stream = client.get("/runs/train/one/events")
    assert stream.headers["content-type"].startswith("text/event-stream")
    names = re.findall("^event: (.*)$", stream.text, re.MULTILINE)
    assert names == ["run", "end"]
    (first, *_) = re.findall("^data: (.*)$", stream.text, re.MULTILINE)
    assert "stopped" in json.loads(first)["parts"]["head"]


def test_a_run_that_failed_is_redriven(client: TestClient, machines: dict[str, str]) -> None:
    arn = start(machines, {})
    client.post("/runs/train/one/stop", headers=FROM_HERE)
    assert 'action="/runs/train/one/redrive"' in client.get("/runs/train/one").text
    # Neither moto nor the local region has a redrive; the call is checked against the service's model.
    with Stubber(stack.client("stepfunctions")) as service:
        service.add_response("redrive_execution", {"redriveDate": datetime.now(UTC)}, {"executionArn": arn})
        answer = client.post("/runs/train/one/redrive", headers=FROM_HERE)
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs/train/one")
        service.add_client_error("redrive_execution", "ExecutionNotRedrivable", "It is older than 14 days.")
        answer = client.post("/runs/train/one/redrive", headers=FROM_HERE)
        service.assert_no_pending_responses()
    assert answer.status_code == 502
    assert "ExecutionNotRedrivable" in answer.text
    assert "older than 14 days" in answer.text
