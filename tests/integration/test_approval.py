"""A person's consent before the endpoint changes: asked by e-mail, given by a button, through the real workflow."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import pytest
from deployed_stack import QUICK, Execution, Production, Stack, wait_for
from patience import patient


@dataclass(frozen=True)
class Asked:
    """A run that waits for an answer, and the links in the e-mail about it."""

    arn: str
    approve: str
    reject: str


@dataclass(frozen=True)
class Mailbox:
    """Stands in for the approver's: a queue that is subscribed to the topic as well."""

    stack: Stack
    url: str

    def ask(self, timeout_seconds: int = 600) -> Asked:
        arn = self.stack.start(QUICK | {"Approval": {"Required": True, "TimeoutSeconds": timeout_seconds}})
        received = wait_for(
            lambda: boto3.client("sqs").receive_message(QueueUrl=self.url).get("Messages", []), lambda found: found
        )
        boto3.client("sqs").delete_message(QueueUrl=self.url, ReceiptHandle=received[0]["ReceiptHandle"])
        approve, reject = re.findall(r"https?://\S+", received[0]["Body"])
        assert (approve[-16:], reject[-15:]) == ("decision=approve", "decision=reject")
        return Asked(arn, approve, reject)


@pytest.fixture
def mailbox(stack: Stack) -> Iterator[Mailbox]:
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    url = sqs.create_queue(QueueName=f"mailbox-{uuid4().hex[:8]}")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = sns.subscribe(
        TopicArn=stack.outputs["ApprovalTopicArn"],
        Protocol="sqs",
        Endpoint=queue,
        Attributes={"RawMessageDelivery": "true"},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    yield Mailbox(stack, url)
    sns.unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=url)


def request(link: str, method: str = "GET", **form: str) -> tuple[int, str]:
    """Return status and page."""
    data = urllib.parse.urlencode(form).encode() if method == "POST" else None
    try:
        with urllib.request.urlopen(
            urllib.request.Request(link, data=data, method=method), timeout=patient(60)
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def registered(stack: Stack, execution: Execution) -> dict[str, Any]:
    arn = execution.outputs_of("Register model version")[0]["model_package"]["Arn"]
    version: dict[str, Any] = stack.sagemaker.describe_model_package(ModelPackageName=arn)
    return version


def is_waiting(stack: Stack, arn: str) -> bool:
    return bool(stack.step_functions.describe_execution(executionArn=arn)["status"] == "RUNNING")


def forged(link: str, name: str) -> str:
    """Return a link with one query parameter of somebody's invention."""
    place = urllib.parse.urlsplit(link)
    query = dict(urllib.parse.parse_qsl(place.query)) | {name: "A" * 22}
    return place._replace(query=urllib.parse.urlencode(query)).geturl()


def test_nothing_but_the_button_approves_and_the_first_answer_counts(
    stack: Stack, production: Production, mailbox: Mailbox
) -> None:
    config = production.config()
    asked = mailbox.ask()
    # What mail scanners and previews do.
    for method in ("GET", "HEAD", "GET"):
        assert request(asked.approve, method)[0] == request(asked.reject, method)[0] == 200
    assert 'method="post"' in request(asked.approve)[1]
    # What strangers do: another id and a wrong key look alike.
    wrong = [request(forged(asked.approve, name), "POST", name="Mallory") for name in ("id", "key")]
    assert wrong[0] == wrong[1]
    assert wrong[0][0] == 403
    assert request(asked.approve, "POST", name=" \n ")[0] == 400
    assert is_waiting(stack, asked.arn)
    assert production.config() == config

    status, page = request(asked.approve, "POST", name="Ada <Lovelace>", reason="looks\r\ngood & sound")
    assert (status, "Approved by Ada &lt;Lovelace&gt;" in page) == (200, True)
    again, same_page = request(asked.reject, "POST", name="Eve")
    assert (again, same_page) == (status, page)

    execution = stack.finish(asked.arn)
    assert execution.status == "SUCCEEDED", f"{execution.end_state}: {execution.error}: {execution.cause}"
    version = registered(stack, execution)
    assert version["ModelApprovalStatus"] == "Approved"
    assert version["ApprovalDescription"].startswith("Approved by Ada <Lovelace> at 20")
    assert version["ApprovalDescription"].endswith("from 127.0.0.1: looks good & sound")
    assert production.config() != config
    # The token is nowhere but in the table and in what Step Functions itself keeps of a task's parameters.
    token = next(
        json.loads(e["taskScheduledEventDetails"]["parameters"])["Payload"]["TaskToken"]
        for e in execution.events
        if "waitForTaskToken" in e.get("taskScheduledEventDetails", {}).get("resource", "")
    )
    assert token not in asked.approve + page


@pytest.mark.usefixtures("unharmed")
def test_a_rejected_model_leaves_the_endpoint_alone(stack: Stack, production: Production, mailbox: Mailbox) -> None:
    config = production.config()
    asked = mailbox.ask()
    assert request(asked.reject, "POST", name="Grace Hopper", reason="not before the holidays")[0] == 200
    execution = stack.finish(asked.arn)
    assert (execution.status, execution.end_state, execution.error) == (
        "FAILED",
        "Model not approved",
        "ModelNotApproved",
    )
    assert "Rejected by Grace Hopper" in execution.cause
    assert "not before the holidays" in execution.cause
    assert registered(stack, execution)["ModelApprovalStatus"] == "Rejected"
    assert production.config() == config
    status, page = request(asked.approve, "POST", name="Grace Hopper")
    assert (status, "Rejected by Grace Hopper" in page) == (200, True)


@pytest.mark.usefixtures("unharmed")
def test_without_an_answer_in_time_the_run_ends_and_its_links_with_it(
    stack: Stack, production: Production, mailbox: Mailbox
) -> None:
    config = production.config()
    asked = mailbox.ask(timeout_seconds=8)
    execution = stack.finish(asked.arn)
    assert (execution.status, execution.end_state, execution.error) == (
        "FAILED",
        "Approval timed out",
        "ApprovalTimedOut",
    )
    status, page = request(asked.approve, "POST", name="Too Late")
    assert (status, "expired" in page) == (410, True)
    assert registered(stack, execution)["ModelApprovalStatus"] == "PendingManualApproval"
    assert production.config() == config


@pytest.mark.usefixtures("unharmed")
def test_an_answer_to_a_run_that_was_stopped_comes_too_late(stack: Stack, mailbox: Mailbox) -> None:
    asked = mailbox.ask()
    stack.step_functions.stop_execution(executionArn=asked.arn)
    stack.finish(asked.arn)
    status, page = request(asked.approve, "POST", name="Ada")
    assert (status, "no longer waits" in page) == (410, True)
