"""Deleting the stack leaves nothing that is billed, and the data only if they are to be kept."""

from __future__ import annotations

import os
from typing import Any

import boto3
import pytest
from deployed_stack import EmptyRegion
from iam_stack import read_stack
from judged_roles import require_allowed
from sam_commands import LOCAL, sam, sam_deploy, stack_outputs

VPC = {"SubnetIds": "subnet-0a1b2c3d,subnet-4e5f6a7b", "SecurityGroupIds": "sg-0a1b2c3d"}


def serve_a_model(name: str, stack_name: str) -> None:
    """Make model, config and endpoint as the state machine does: with the stack's tag."""
    sagemaker = boto3.client("sagemaker")
    tags: Any = [{"Key": "visitcast:stack", "Value": stack_name}]
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/visitcast-local/training:latest"
    role = "arn:aws:iam::123456789012:role/any"
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer={"Image": image}, Tags=tags)
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.t2.medium"}
        ],
        Tags=tags,
    )


@pytest.mark.parametrize(
    "parameters", [{"KeepData": "yes"}, {"KeepData": "no", "Environment": "a-b", **VPC}], ids=["keep", "nothing"]
)
def test_nothing_is_left(empty_region: EmptyRegion, parameters: dict[str, str]) -> None:
    name = f"visitcast-leaving-{parameters['KeepData']}"
    sam_deploy(empty_region.build, "local", LOCAL | parameters, "--stack-name", name)
    outputs = stack_outputs(name)
    s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
    bucket = outputs["BucketName"]
    assert "-" not in outputs["DatabaseName"]  # SQL would have to quote it
    for content in (b"old", b"new"):  # two versions of one object
        s3.put_object(Bucket=bucket, Key="events/dt=2026-11-01/a.parquet", Body=content)
    serve_a_model("visitcast-mine", name)
    serve_a_model("visitcast-theirs", "another-stack")
    group = outputs["ModelPackageGroupName"]
    for _ in range(2):
        sagemaker.create_model_package(ModelPackageGroupName=group, ModelApprovalStatus="Approved")

    resources = boto3.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    key = next(r["PhysicalResourceId"] for r in resources if r["ResourceType"] == "AWS::KMS::Key")
    roles = read_stack(name)  # they are gone afterwards

    sam("delete", "--stack-name", name, "--region", os.environ["AWS_REGION"], "--no-prompts")

    assert [m["ModelName"] for m in sagemaker.list_models()["Models"]] == ["visitcast-theirs"]
    assert [c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]] == [
        "visitcast-theirs"
    ]
    buckets = [found["Name"] for found in s3.list_buckets()["Buckets"]]
    state = boto3.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    assert (bucket in buckets, state) == (
        (True, "Enabled") if parameters["KeepData"] == "yes" else (False, "PendingDeletion")
    )
    sagemaker.delete_endpoint_config(EndpointConfigName="visitcast-theirs")
    sagemaker.delete_model(ModelName="visitcast-theirs")
    left = {
        "functions": boto3.client("lambda").list_functions()["Functions"],
        "roles": boto3.client("iam").list_roles()["Roles"],
        "alarms": boto3.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "log groups": boto3.client("logs").describe_log_groups()["logGroups"],
        "registered models": sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"],
        "state machines": boto3.client("stepfunctions").list_state_machines()["stateMachines"],
    }
    assert left == {name: [] for name in left}
    require_allowed(roles, empty_region.home, name)
