"""Tasks of the region that wait for a token: answered once, failed, or out of time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from localaws_region import Region, serving

TOKEN_KEEPER = """
import json, os
import boto3
def handler(event, context):
    boto3.client("s3").put_object(Bucket="data", Key="tokens/" + event["name"], Body=event["token"].encode())
"""


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with serving(tmp_path_factory.mktemp("region")) as found:
        found.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        found.create_function("keep-token", {"app.py": TOKEN_KEEPER})
        yield found


def machine(state: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A state machine of one state, and those it may go on to."""
    return {"StartAt": "First", "States": {"First": dict(state) if "Next" in state else {"End": True, **state}, **more}}


def waiting(name: str, **options: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": "keep-token", "Payload": {"token.$": "$$.Task.Token", "name": name}},
        **options,
    }


def token_of(region: Region, name: str) -> str:
    """Wait for the token that a task has given away."""
    s3 = region.client("s3")
    while True:
        try:
            return str(s3.get_object(Bucket="data", Key=f"tokens/{name}")["Body"].read().decode())
        except s3.exceptions.NoSuchKey:
            time.sleep(0.05)


def test_a_task_waits_for_its_token_and_takes_the_first_answer(region: Region) -> None:
    client = region.client("stepfunctions")
    more = {"After": {"Type": "Wait", "Seconds": 100, "End": True}}
    execution = region.start(machine(waiting("success", Next="After"), **more))
    token = token_of(region, "success")
    assert client.describe_execution(executionArn=execution)["status"] == "RUNNING"
    client.send_task_success(taskToken=token, output='{"answer": 42}')
    while "WaitStateEntered" not in [event["type"] for event in region.history(execution)]:
        time.sleep(0.05)
    for _ in ("while it runs", "after its end"):
        with pytest.raises(client.exceptions.TaskTimedOut):
            client.send_task_failure(taskToken=token, error="Late")
        assert json.loads(region.finished(execution)["output"]) == {"answer": 42}
    with pytest.raises(client.exceptions.InvalidToken):
        client.send_task_success(taskToken="nobody's", output="{}")


def test_a_failed_token_fails_its_task_with_error_and_cause(region: Region) -> None:
    execution = region.start(machine(waiting("failure")))
    region.client("stepfunctions").send_task_failure(taskToken=token_of(region, "failure"), error="No", cause="because")
    ended = region.finished(execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "No", "because")


@pytest.mark.parametrize(("limit", "seconds"), [("TimeoutSeconds", 3), ("HeartbeatSeconds", 2)])
def test_a_token_that_nobody_hands_in_is_a_timeout(region: Region, limit: str, seconds: int) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "ResultPath": "$.error", "Next": "Caught"}]
    options = {"TimeoutSeconds": 60, limit: seconds, "Catch": catch}
    execution = region.start(machine(waiting(limit, **options), Caught={"Type": "Pass", "End": True}))
    assert json.loads(region.finished(execution)["output"])["error"]["Error"] == "States.Timeout"
    client = region.client("stepfunctions")
    with pytest.raises(client.exceptions.TaskTimedOut):
        client.send_task_heartbeat(taskToken=token_of(region, limit))
