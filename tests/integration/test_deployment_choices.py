"""What a deployment may choose, through the front door: spare capacity, a serverless endpoint, subnets of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
from deployed_stack import QUICK, STACK_NAME, Execution, Production, Stack, requested, wait_for
from iam_policy import is_allowed
from sam_commands import LOCAL, build, local_region, region_environment, sam_deploy, stack_outputs

from demo.simulator import World, simulate
from demo.upload import partition_files, replace_events

WORLD = World(users=40, days=50, end=date(2026, 10, 31), seed=7)
SUBNETS, GROUPS = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"], ["sg-0a1b2c3d"]


@dataclass(frozen=True)
class Chooser:
    """A region in which one stack is deployed with one choice after the other."""

    url: str
    home: Path

    def deploy(self, **choices: str) -> Stack:
        sam_deploy(self.home / "build", "local", LOCAL | choices, "--stack-name", STACK_NAME)
        found = Stack(stack_outputs(STACK_NAME), self.url, self.home / "region")
        if not found.keys("events/"):
            events = pa.concat_tables(block.events for block in simulate(WORLD))
            replace_events(found.s3, found.bucket, dict(partition_files(events)), lambda _: None)
        return found


@pytest.fixture(scope="module")
def chooser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chooser]:
    home = tmp_path_factory.mktemp("choices")
    with pytest.MonkeyPatch.context() as patch, local_region(home / "region") as url:
        for variable, value in region_environment(home / "region").items():
            patch.setenv(variable, value)
        build(home / "build")
        yield Chooser(url, home)


def job_log(job: str) -> list[str]:
    group = "/aws/sagemaker/TrainingJobs"
    events = boto3.client("logs").get_log_events(logGroupName=group, logStreamName=f"{job}/algo-1")["events"]
    return [event["message"] for event in events]


@pytest.fixture(scope="module")
def interrupted(chooser: Chooser) -> Production:
    """A run on spare capacity that is taken away once; its endpoint has no instances."""
    stack = chooser.deploy(SpotTraining="yes", EndpointMode="serverless", ModelNetworkIsolation="no")
    stack.order_fault(interrupt="epoch=2/")
    # So many epochs that the interruption comes in time, with one machine busy as it may be.
    execution = stack.run(QUICK | {"Hyperparameters": {"epochs": 15, "patience": 15, "units": 8}})
    assert execution.status == "SUCCEEDED", execution.cause
    return Production(stack, execution)


def test_interrupted_training_continues_where_it_stopped(interrupted: Production) -> None:
    (training,) = interrupted.execution.outputs_of("Train")
    job = interrupted.stack.sagemaker.describe_training_job(TrainingJobName=training["training"]["TrainingJobName"])
    once = ["Starting", "Downloading", "Training"]
    stages = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert stages == [*once, "Interrupted", *once, "Uploading", "Completed"]
    assert job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"]
    lines = job_log(job["TrainingJobName"])
    epochs = [int(line.removeprefix("epoch=").partition("/")[0]) for line in lines if line.startswith("epoch=")]
    done = next(int(line.split()[3]) for line in lines if line.startswith("resumed after epoch"))
    assert done >= 2
    assert epochs == list(range(1, 16))  # none is lost, none is trained twice


def test_a_serverless_endpoint_answers_and_is_updated(interrupted: Production) -> None:
    stack = interrupted.stack
    (variant,) = stack.sagemaker.describe_endpoint(EndpointName=interrupted.endpoint)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert interrupted.forecast()["source"] in ("model", "prior")

    before = interrupted.config()
    interrupted.replay("preprocess", "train", "evaluate")
    second = stack.run(QUICK)
    assert second.status == "SUCCEEDED", second.cause
    assert "Update serverless endpoint" in second.states
    assert interrupted.config() != before
    assert interrupted.forecast()


def test_without_an_endpoint_forecasts_gate_and_approval_ask_the_registry(
    chooser: Chooser, interrupted: Production
) -> None:
    choices = {"SpotTraining": "no", "EndpointMode": "none", "ModelNetworkIsolation": "yes"}
    stack = chooser.deploy(**choices, ApprovalMode="on-request", AlarmEmail="operator@example.com")
    for endpoint in stack.sagemaker.list_endpoints()["Endpoints"]:  # of the tests before this one
        stack.sagemaker.delete_endpoint(EndpointName=endpoint["EndpointName"])
    interrupted.replay("preprocess", "train", "evaluate")
    first = stack.run(QUICK)
    assert first.status == "SUCCEEDED", first.cause
    assert "Deploy" not in first.states
    number = int(version_of(first).rpartition("/")[2])

    forecast = stack.run_forecast({"ForecastDate": "2026-11-01", "AsOf": "2026-11-01T00:00:00Z", "HandOver": False})
    assert forecast.status == "SUCCEEDED", f"{forecast.end_state}: {forecast.cause}"
    assert forecast.outputs_of("Find production model")[0]["production"]["ModelVersion"] == str(number)

    second = stack.run(QUICK | {"Approval": {"Required": True}})
    assert second.end_state == "Awaiting approval"
    assert second.outputs_of("Find production model")[0]["production"]["ModelVersion"] == str(number)
    before = set(stack.executions())
    stack.sagemaker.update_model_package(ModelPackageArn=version_of(second), ModelApprovalStatus="Approved")
    (started,) = wait_for(lambda: set(stack.executions()) - before, lambda arns: arns)
    approved = stack.finish(started)
    assert (approved.status, "Deploy" in approved.states) == ("SUCCEEDED", False), approved.cause

    rollback = stack.run({"ModelVersion": number})
    assert rollback.status == "SUCCEEDED", rollback.cause
    status = stack.sagemaker.describe_model_package(ModelPackageName=version_of(second))["ModelApprovalStatus"]
    assert status == "Rejected"
    assert stack.sagemaker.list_endpoints()["Endpoints"] == []


def version_of(execution: Execution) -> str:
    arn: str = execution.outputs_of("Register model version")[0]["run"]["Version"]["Arn"]
    return arn


@pytest.fixture(scope="module")
def stack_in_vpc(chooser: Chooser, interrupted: Production) -> Stack:
    interrupted.stack.lift_faults()
    # What is not named keeps the value that the stack has: sam passes "use the previous value".
    back = {"SpotTraining": "no", "EndpointMode": "instance", "ModelNetworkIsolation": "yes"}
    return chooser.deploy(SubnetIds=",".join(SUBNETS), SecurityGroupIds=",".join(GROUPS), **back)


def test_jobs_and_model_in_subnets_of_their_own(stack_in_vpc: Stack, interrupted: Production) -> None:
    stack = stack_in_vpc
    stack.order_fault(image="training", match="-f1-", argv=["python", "-c", "print('final_test_log_loss=3.0')"])
    interrupted.replay("preprocess", "train", "evaluate")
    execution = stack.run(QUICK | {"EndpointName": "in-the-vpc", "CrossValidation": {"Folds": 1}})
    assert execution.status == "SUCCEEDED", execution.cause
    vpc = {"Subnets": SUBNETS, "SecurityGroupIds": GROUPS}
    asked: list[dict[str, Any]] = [
        *requested(execution, "createTrainingJob"),
        *(
            request for request in requested(execution, "createModel") if "ModelName" in request
        ),  # no createModelPackage
        *(request["NetworkConfig"] for request in requested(execution, "createProcessingJob")),
    ]
    assert [request["VpcConfig"] for request in asked] == [vpc] * 5  # fold, training, model; preprocessing, evaluation
    assert all(request["EnableNetworkIsolation"] for request in asked)
    (variant,) = stack.sagemaker.describe_endpoint(EndpointName="in-the-vpc")["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 1


@pytest.mark.usefixtures("stack_in_vpc")
@pytest.mark.parametrize("role", ["JobRole", "ServingRole"])
def test_roles_may_use_these_subnets_only(role: str) -> None:
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    name = next(r["PhysicalResourceId"] for r in resources if r["LogicalResourceId"] == role)
    policy: Any = boto3.client("iam").get_role_policy(RoleName=name, PolicyName="vpc")["PolicyDocument"]
    place = "arn:aws:ec2:eu-central-1:123456789012:"

    def may(action: str, resource: str, context: dict[str, str]) -> bool:
        return is_allowed([policy], f"ec2:{action}", resource, context)

    theirs, others = "subnet-4e5f6a7b", "subnet-ffffffff"
    for subnet, allowed in ((theirs, True), (others, False)):
        assert may("CreateNetworkInterface", f"{place}subnet/{subnet}", {"ec2:SubnetID": subnet}) is allowed
        at = {"ec2:Subnet": f"{place}subnet/{subnet}"}
        for action in ("CreateNetworkInterface", "CreateNetworkInterfacePermission", "DeleteNetworkInterface"):
            assert may(action, f"{place}network-interface/eni-1", at) is allowed
    assert may("CreateNetworkInterface", f"{place}security-group/sg-0a1b2c3d", {"ec2:SecurityGroupID": "sg-0a1b2c3d"})
    assert may("DescribeSubnets", "*", {})
    assert not may(
        "AttachNetworkInterface", f"{place}network-interface/eni-1", {"ec2:Subnet": f"{place}subnet/{theirs}"}
    )
