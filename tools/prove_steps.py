"""The steps by which `tools/prove.py` proves what a stack does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import boto3
import preflight
import pyarrow as pa
from deployment import ENDPOINT, Listed, read_deployment
from proof import POLL_SECONDS, Proof, require

from demo import stack
from demo.execution import Execution, explanation
from demo.history import latest_output
from demo.production import deployed
from demo.simulator import World, simulate
from demo.summary import endpoint_action, evaluation_of
from demo.upload import partition_files, replace_events

NAME = "prove"
"""Environment of the stack that is made: another one than that of any stack that is in use."""
STACK = f"visitcast-{NAME}"
PARAMETERS = {
    "Environment": NAME,
    "KeepData": "no",
    "ApprovalMode": "none",
    **dict.fromkeys(("ScheduleState", "ForecastScheduleState", "PushConsumerState"), "DISABLED"),
}
"""Instead of those of samconfig.toml: nothing but the steps starts runs, takes messages or makes them wait."""

WORLD = World(users=40, days=45, end=date(2026, 10, 31), seed=7)
TRAINING: dict[str, Any] = {"Hyperparameters": {"epochs": 1, "units": 8}, "Gate": {"MustBeat": []}}
"""Input of a run whose model's quality does not matter."""
IMPOSSIBLE: dict[str, Any] = {"MaxMaeHours": 0.01}
"""Limit of the gate that no model keeps."""

OWN_KEY = Listed(
    "",
    "cloudformation",
    "list_stack_resources",
    "StackResourceSummaries[?LogicalResourceId=='Key'].PhysicalResourceId",
)
"""The key that the stack makes unless `KmsKeyId` names another."""

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
QUEUE_SECONDS = 120.0
"""The number of messages in a queue needs a minute or more to be right."""


class Promise(NamedTuple):
    """What takes a step and returns its answer, and what that proves."""

    take: Callable[[Proof], dict[str, Any]]
    text: str


def check_account(proof: Proof) -> dict[str, Any]:
    """Check the account, and that the end deletes no stack of somebody else."""
    deployment = read_deployment(proof.environment, STACK, PARAMETERS)
    require(deployment.parameters["EndpointMode"] != "none", "an endpoint to ask", "EndpointMode=none")
    found = list(preflight.checks(deployment))
    proof.screen.console.print(preflight.table(found))
    # The second run updates the endpoint: what is a warning for a first deployment would fail here.
    unfit = [
        check
        for check in found
        if check.status == preflight.FAILURE or (check.name.endswith(ENDPOINT) and check.status != preflight.OK)
    ]
    failures = [f"{check.name}: {check.found}" for check in unfit]
    require(not failures, "an account that is fit", "; ".join(failures))
    # Otherwise the end would delete what somebody else has deployed.
    require(deployed(STACK) is None, f"no stack {STACK}", f"it exists; delete it: sam delete --stack-name {STACK}")
    return {check.name: check.found for check in found}


def deploy(proof: Proof) -> dict[str, Any]:
    """Build and deploy the stack."""
    with stack.building(proof.logs, proof.environment) as build:
        stack.built(build, proof.logs)
    proof.deployed_at = time.time()
    stack.deploy(STACK, proof.logs, proof.environment, PARAMETERS)
    proof.outputs = deployed(STACK) or {}
    return dict(proof.outputs)


def put_events(proof: Proof) -> dict[str, Any]:
    """Simulate events and put them into the bucket."""
    events = pa.concat_tables(block.events for block in simulate(WORLD))
    files = replace_events(
        boto3.client("s3"), proof.outputs["BucketName"], dict(partition_files(events)), lambda _: None
    )
    return {"events": events.num_rows, "files": files}


def first_run(proof: Proof) -> dict[str, Any]:
    """Train a first model; return what the endpoint answers with it."""
    execution = proof.train(TRAINING)
    require(execution.status == "SUCCEEDED", "a run that succeeds", explanation(execution))
    proof.endpoint_since = time.time()
    return _deployed_by(proof, execution, "created")


def second_run(proof: Proof) -> dict[str, Any]:
    """Train a second model; return what the endpoint answers with it."""
    execution = proof.train(TRAINING)
    require(execution.status == "SUCCEEDED", "a run that succeeds", explanation(execution))
    rival = (evaluation_of(execution) or {}).get("production") or {}
    require(str(rival.get("model_version")) == "1", "a comparison with version 1", rival)
    return _deployed_by(proof, execution, "updated")


def _deployed_by(proof: Proof, execution: Execution, wanted: str) -> dict[str, Any]:
    action, config = endpoint_action(execution), proof.config()
    require(action == wanted, f"an endpoint that is {wanted}", action)
    require(config not in proof.configs, "another endpoint config", config)
    proof.configs.append(config)
    evaluation = evaluation_of(execution) or {}
    return {
        "execution": execution.arn,
        "states": len(execution.states),
        "version": latest_output(execution.states, "run")["Version"]["Arn"].rpartition("/")[2],
        "test log loss": round(evaluation["as_sent"]["log_loss"], 3),
        "endpoint config": config,
        **proof.answer(execution),
    }


def forecast(proof: Proof) -> dict[str, Any]:
    """Forecast the day after the events and look into the queue."""
    day = WORLD.end + timedelta(days=1)
    execution = proof.forecast({"ForecastDate": f"{day}", "AsOf": f"{day}T00:00:00Z", "HandOver": True})
    require(execution.status == "SUCCEEDED", "a run that succeeds", explanation(execution))
    report = latest_output(execution.states, "planned")["report"]
    planned = report["sends"]["planned"]
    require(planned > 0, "sends", report["sends"])
    sqs, queue = boto3.client("sqs"), proof.outputs["PushQueueUrl"]
    end = time.monotonic() + QUEUE_SECONDS  # the number is an approximation for a while
    while (waiting := _messages(sqs, queue)) != planned and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    require(waiting == planned, f"{planned} messages in the queue", waiting)
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    return {
        "execution": execution.arn,
        "users": report["users"],
        "sends": planned,
        "messages": waiting,
        "one of them": json.loads(message["Body"]),
    }


def _messages(sqs: Any, queue: str) -> int:
    name = "ApproximateNumberOfMessages"
    return int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name])


def rejected(proof: Proof) -> dict[str, Any]:
    """Train a model that the gate rejects."""
    execution = proof.train({**TRAINING, "Gate": {**TRAINING["Gate"], **IMPOSSIBLE}})
    end = execution.states[-1].name
    require((execution.status, end) == ("FAILED", "Model rejected"), "the end `Model rejected`", explanation(execution))
    require(proof.config() == proof.configs[-1], f"the endpoint config {proof.configs[-1]}", proof.config())
    return {"execution": execution.arn, "end": end, "cause": execution.cause, "endpoint config": proof.config()}


def rollback(proof: Proof) -> dict[str, Any]:
    """Bring the first version back."""
    execution = proof.train({"ModelVersion": 1})
    require(execution.status == "SUCCEEDED", "a run that succeeds", explanation(execution))
    require(proof.config() == proof.configs[0], f"the endpoint config {proof.configs[0]}", proof.config())
    pages = boto3.client("sagemaker").get_paginator("list_model_packages")
    found = pages.paginate(ModelPackageGroupName=proof.outputs["ModelPackageGroupName"])
    versions = {
        version["ModelPackageVersion"]: version["ModelApprovalStatus"]
        for page in found
        for version in page["ModelPackageSummaryList"]
    }
    # The third is the one that the gate rejected.
    wanted = {1: "Approved", 2: "Rejected", 3: "Rejected"}
    require(versions == wanted, "version 1 Approved and all later ones Rejected", versions)
    return {
        "execution": execution.arn,
        "endpoint config": proof.config(),
        "versions": {f"{number}": status for number, status in sorted(versions.items())},
    }


def delete(proof: Proof) -> dict[str, Any]:
    """Stop what runs and delete the stack, however far the other steps came."""
    sfn = boto3.client("stepfunctions")
    for machine in ("TrainStateMachineArn", "ForecastStateMachineArn"):
        if arn := proof.outputs.get(machine):
            for page in sfn.get_paginator("list_executions").paginate(stateMachineArn=arn, statusFilter="RUNNING"):
                for running in page["executions"]:
                    sfn.stop_execution(executionArn=running["executionArn"], error="Interrupted", cause="Not needed.")
    cloudformation = boto3.client("cloudformation")
    if stack_exists():
        proof.key = next(preflight.Account().listed(OWN_KEY, StackName=STACK), "")
    try:
        stack.delete(STACK, proof.logs)
    finally:
        # sam leaves a stack that it had only begun to make, and gives up after a first failure.
        if stack_exists():
            cloudformation.delete_stack(StackName=STACK)
            cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK)
    return {"stack": f"{STACK} is deleted"}


def stack_exists() -> bool:
    """Return whether there is a stack, in whatever state."""
    return preflight.Account().stack(STACK) is not None


def nothing_left(proof: Proof) -> dict[str, Any]:
    """Look for everything that the stack or its runs made."""
    require(not stack_exists(), "no stack", STACK)
    deployment = read_deployment(proof.environment, STACK, PARAMETERS)
    left = preflight.taken_names(preflight.Account(), deployment)
    left += made_by_runs(datetime.fromtimestamp(proof.deployed_at, UTC))
    buckets = [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]
    left += [f"bucket {name}" for name in buckets if name.startswith(f"{STACK}-")]  # as CloudFormation names them
    key = ""
    if proof.key:
        key = boto3.client("kms").describe_key(KeyId=proof.key)["KeyMetadata"]["KeyState"]
        if key != "PendingDeletion":  # while it is pending, a key costs nothing
            left.append(f"key {proof.key}")
    require(not left, "nothing", "; ".join(left))
    return {"left": "nothing", "key": key or "none was made"}


def made_by_runs(since: datetime) -> Iterator[str]:
    """Yield the models, endpoint configs and endpoints that have the stack's tag."""
    account = preflight.Account()
    sagemaker = boto3.client("sagemaker")
    for operation, entries, kind in (
        ("list_models", "Models", "Model"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfig"),
        ("list_endpoints", "Endpoints", "Endpoint"),
    ):
        arns = Listed("", "sagemaker", operation, f"{entries}[].{kind}Arn")
        for arn in account.listed(arns, CreationTimeAfter=since):
            tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
            if tags.get("visitcast:stack") == STACK:
                yield arn


STEPS: dict[str, Promise] = {
    "Preflight": Promise(
        check_account,
        "Credentials, quotas, names, services and the public registry are fit for these parameters",
    ),
    "Deploy": Promise(
        deploy,
        "`sam build` and `sam deploy` create the stack, images included",
    ),
    "Events": Promise(
        put_events,
        "Events are in the bucket, a file for each UTC date",
    ),
    "First training run": Promise(
        first_run,
        "A run trains, evaluates, registers version 1 and creates the endpoint, which answers",
    ),
    "Second training run": Promise(
        second_run,
        "A second run compares itself with version 1 and updates the endpoint, which answers",
    ),
    "Forecast": Promise(
        forecast,
        "Every user is forecast, sends are planned, and the queue has one message for each",
    ),
    "Rejected model": Promise(
        rejected,
        "A model that misses the gate's limit ends in `Model rejected`; the endpoint keeps its config",
    ),
    "Rollback": Promise(
        rollback,
        '`{"ModelVersion": 1}` brings version 1 back, and later versions are rejected',
    ),
    "Delete": Promise(
        delete,
        "`sam delete` deletes the stack",
    ),
    "Nothing is left": Promise(
        nothing_left,
        "No endpoint, config, model, bucket, repository, log or other name of the stack is left",
    ),
}
"""What is proven, in this order."""
CLEANING = ("Delete", "Nothing is left")
"""Steps that run whatever happened before, once something may have been made."""
