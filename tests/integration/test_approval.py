"""A person decides in the model registry what is in production: approval, rejection, rollback, and what fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from deployed_stack import QUICK, Execution, Production, Stack, wait_for


@pytest.fixture
def mailbox(stack: Stack) -> Iterator[str]:
    """The URL of a queue that gets what is sent to the operator's topic."""
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    url = sqs.create_queue(QueueName=f"mailbox-{uuid4().hex[:8]}")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = sns.subscribe(
        TopicArn=stack.outputs["AlarmTopicArn"],
        Protocol="sqs",
        Endpoint=queue,
        Attributes={"RawMessageDelivery": "true"},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    yield url
    sns.unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=url)


def waiting_version(production: Production) -> dict[str, Any]:
    """Run the workflow to the point where its model waits for approval; return the version."""
    stack = production.stack
    production.replay("preprocess", "train", "evaluate")
    execution = stack.run(QUICK | {"Approval": {"Required": True}})
    assert (execution.status, execution.end_state) == ("SUCCEEDED", "Awaiting approval"), execution.cause
    arn = execution.outputs_of("Register model version")[0]["run"]["Version"]["Arn"]
    version: dict[str, Any] = stack.sagemaker.describe_model_package(ModelPackageName=arn)
    assert version["ModelApprovalStatus"] == "PendingManualApproval"
    return version


def config_of(version: dict[str, Any]) -> str:
    name: str = version["CustomerMetadataProperties"]["EndpointConfigName"]
    return name


def approve(stack: Stack, version: dict[str, Any]) -> Execution:
    """Approve a version as a person does; return the execution that the rule has started, when it has ended."""
    before = set(stack.executions())
    stack.sagemaker.update_model_package(
        ModelPackageArn=version["ModelPackageArn"], ModelApprovalStatus="Approved", ApprovalDescription="looks good"
    )
    (started,) = wait_for(lambda: set(stack.executions()) - before, lambda found: found)
    assert json.loads(stack.step_functions.describe_execution(executionArn=started)["input"]) == {
        "ModelVersion": version["ModelPackageVersion"]
    }
    return stack.finish(started)


def status_of(stack: Stack, version: dict[str, Any]) -> str:
    found = stack.sagemaker.describe_model_package(ModelPackageName=version["ModelPackageArn"])
    return f"{found['ModelApprovalStatus']}: {found.get('ApprovalDescription')}"


def test_an_approval_in_the_registry_deploys_the_version(stack: Stack, production: Production, mailbox: str) -> None:
    config = production.config()
    version = waiting_version(production)
    assert production.config() == config
    (mail,) = boto3.client("sqs").receive_message(QueueUrl=mailbox)["Messages"]
    command = f"update-model-package --model-package-arn {version['ModelPackageArn']} --model-approval-status Approved"
    assert command in mail["Body"]
    assert "report.html" in mail["Body"]

    execution = approve(stack, version)
    assert execution.status == "SUCCEEDED", f"{execution.end_state}: {execution.error}: {execution.cause}"
    assert execution.states[:3] == ["Prepare run", "Is a model version given?", "Is an endpoint wanted?"]
    assert production.config() == config_of(version) != config
    assert status_of(stack, version) == "Approved: looks good"
    assert production.forecast()

    # The same event once more: there is nothing left to do.
    again = stack.run({"ModelVersion": version["ModelPackageVersion"]})
    assert again.status == "SUCCEEDED", again.cause
    assert not {"Create endpoint", "Update endpoint"} & set(again.states)
    assert production.config() == config_of(version)


def test_an_event_that_is_delivered_twice_deploys_one_version(stack: Stack, production: Production) -> None:
    version = waiting_version(production)
    before = set(stack.executions())
    stack.sagemaker.update_model_package(ModelPackageArn=version["ModelPackageArn"], ModelApprovalStatus="Approved")
    second = stack.start({"ModelVersion": version["ModelPackageVersion"]})
    both = wait_for(lambda: set(stack.executions()) - before, lambda found: len(found) == 2)
    assert second in both
    ended = [stack.finish(arn) for arn in both]
    assert [execution.status for execution in ended] == ["SUCCEEDED", "SUCCEEDED"], [e.cause for e in ended]
    assert production.config() == config_of(version)
    assert status_of(stack, version).startswith("Approved")


@pytest.mark.usefixtures("unharmed")
def test_a_rejected_version_is_not_deployed(stack: Stack, production: Production) -> None:
    config = production.config()
    version = waiting_version(production)
    before = stack.executions()
    stack.sagemaker.update_model_package(
        ModelPackageArn=version["ModelPackageArn"],
        ModelApprovalStatus="Rejected",
        ApprovalDescription="not before the holidays",
    )
    execution = stack.run({"ModelVersion": version["ModelPackageVersion"]})
    assert (execution.status, execution.end_state) == ("FAILED", "Input rejected")
    assert "is Rejected (not before the holidays). Approve it in the model registry" in execution.cause
    assert stack.executions() == [execution.arn, *before]  # the rejection started nothing
    assert production.config() == config


def test_a_rollback_makes_the_older_version_production_until_a_newer_one_is_approved(
    stack: Stack, production: Production
) -> None:
    older = waiting_version(production)
    assert approve(stack, older).status == "SUCCEEDED"
    newer = waiting_version(production)
    assert approve(stack, newer).status == "SUCCEEDED"
    assert production.config() == config_of(newer)

    rollback = stack.run({"ModelVersion": older["ModelPackageVersion"]})
    assert rollback.status == "SUCCEEDED", rollback.cause
    assert production.config() == config_of(older)
    name = rollback.arn.rpartition(":")[2]
    assert status_of(stack, older).startswith("Approved")
    reason = f"Rolled back to version {older['ModelPackageVersion']} by execution {name}"
    assert status_of(stack, newer) == f"Rejected: {reason}"
    assert found_by_forecasts(stack) == older["CustomerMetadataProperties"]["ModelName"]

    assert approve(stack, newer).status == "SUCCEEDED"
    assert production.config() == config_of(newer)
    assert found_by_forecasts(stack) == newer["CustomerMetadataProperties"]["ModelName"]


def found_by_forecasts(stack: Stack) -> str:
    """Return the name of the model that a forecast run would use."""
    event = {"ReferenceUri": f"s3://{stack.bucket}/runs/{uuid4().hex}/reference", "ForecastDate": "2026-11-24"}
    answer, failed = stack.invoke("FindProductionModelFunction", event)
    assert not failed, answer
    return str(answer["ModelName"])


@pytest.mark.usefixtures("unharmed")
def test_a_version_that_does_not_come_up_is_rejected_with_the_reason(stack: Stack, production: Production) -> None:
    config, model = production.config(), found_by_forecasts(stack)
    version = waiting_version(production)
    stack.order_fault(image="serving", match="serve", argv=["python", "-c", "raise SystemExit(3)"])
    execution = approve(stack, version)
    assert (execution.status, execution.end_state) == ("FAILED", "Deployment failed")
    assert execution.error == "EndpointUpdateRolledBack"
    name = execution.arn.rpartition(":")[2]
    reason = f"Rejected: Deployment by execution {name} failed: EndpointUpdateRolledBack: The new model did not start"
    assert status_of(stack, version).startswith(reason)
    assert (production.config(), found_by_forecasts(stack)) == (config, model)


def test_a_run_either_trains_or_deploys(stack: Stack) -> None:
    execution = stack.run({"ModelVersion": 1, "Hyperparameters": {"epochs": 1}})
    assert (execution.status, execution.end_state) == ("FAILED", "Input rejected")
    assert "Hyperparameters would shape a new one" in execution.cause
