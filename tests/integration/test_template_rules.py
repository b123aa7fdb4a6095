"""Parameters that CloudFormation refuses, by the template's constraints and Rules, before it creates anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from deployed_stack import ROOT, EmptyRegion
from samcli.yamlhelper import yaml_parse

TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
PROD = {"Environment": "prod"}
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
IMAGES = {
    f"{image}ImageUri": f"{REGISTRY}/team/{image.lower()}:1"
    for image in ("Preprocessing", "Training", "Serving", "Sending")
}
VPC = {"SubnetIds": "subnet-0a1b2c3d,subnet-4e5f6a7b", "SecurityGroupIds": "sg-0a1b2c3d"}


@pytest.fixture
def judge(empty_region: EmptyRegion) -> Callable[[dict[str, str]], None]:
    """Ask CloudFormation for a change set with some parameters.

    The template's resources are left out: they play no part in the decision, and their transform takes seconds.
    """
    parts = {name: TEMPLATE[name] for name in ("Parameters", "Rules")}
    body = json.dumps({**parts, "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    client = boto3.client("cloudformation")

    def create_change_set(parameters: dict[str, str]) -> None:
        stack = f"stack-{uuid4().hex}"
        client.create_change_set(
            StackName=stack,
            ChangeSetName="change",
            ChangeSetType="CREATE",
            TemplateBody=body,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        client.delete_stack(StackName=stack)

    return create_change_set


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({}, id="defaults"),
        pytest.param(PROD, id="prod"),
        pytest.param(IMAGES, id="own images"),
        pytest.param(
            IMAGES | {"SendingImageUri": f"{REGISTRY}/team/sending@sha256:{'0' * 64}"}, id="own image by its digest"
        ),
        pytest.param({"KmsKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"}, id="own key"),
        pytest.param({"KmsKeyId": "mrk-1234abcd12ab34cd56ef1234567890ab"}, id="own multi-region key"),
        pytest.param({"ScheduleState": "ENABLED", "AlarmEmail": "a@example.com"}, id="schedule"),
        pytest.param({"ApprovalMode": "always", "AlarmEmail": "a@example.com", "Revision": "4a1b2c3"}, id="approval"),
        pytest.param(VPC, id="VPC"),
        pytest.param({"EndpointMode": "serverless", "ModelNetworkIsolation": "no"}, id="serverless"),
    ],
)
def test_good_parameters(judge: Callable[[dict[str, str]], None], parameters: dict[str, str]) -> None:
    judge(parameters)


@pytest.mark.parametrize(
    ("parameters", "remedy"),
    [
        pytest.param(
            {"KmsKeyId": "arn:aws:kms:eu-central-1:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
            "id of a key in this account",
            id="foreign key's ARN",
        ),
        pytest.param({"KmsKeyId": "alias/mine"}, "not an ARN or an alias", id="key alias"),
        pytest.param({"ServingImageUri": IMAGES["ServingImageUri"]}, "give all four, or none", id="one image of four"),
        pytest.param(IMAGES | {"SendingImageUri": "a/b:c"}, "of an ECR registry", id="image of another registry"),
        pytest.param(
            IMAGES | {"SendingImageUri": f"{REGISTRY}/team/sending"}, "with its tag or digest", id="image without a tag"
        ),
        pytest.param({"Environment": "a--b"}, "Environment", id="environment that no repository may be named after"),
        pytest.param(PROD | {"KeepData": "no"}, "KeepData=yes", id="prod without its data"),
        pytest.param({"ScheduleState": "ENABLED"}, "Set AlarmEmail", id="schedule without anybody to notify"),
        pytest.param({"ForecastScheduleState": "ENABLED"}, "Set AlarmEmail", id="forecasts that nobody misses"),
        pytest.param({"ApprovalMode": "always"}, "Set AlarmEmail", id="approval that nobody gives"),
        pytest.param({"Revision": "a revision"}, "git rev-parse", id="no revision"),
        pytest.param({"AlarmEmail": "me"}, "e-mail address", id="no e-mail address"),
        pytest.param({"ScheduleExpression": "0 3 * * 1"}, r"cron\(0 3", id="crontab instead of cron()"),
        pytest.param({"ScheduleTimeZone": "Berlin time"}, "Europe/Berlin", id="time zone with a space"),
        pytest.param({"AthenaScanLimitBytes": "1"}, "between", id="scan limit below Athena's minimum"),
        pytest.param({"MaxDaysWithoutSuccess": "30"}, "between", id="longer than CloudWatch looks back"),
        pytest.param({"EndpointMode": "gpu"}, "AllowedValues", id="unknown endpoint mode"),
        pytest.param({"EndpointMode": "serverless"}, "ModelNetworkIsolation=no", id="serverless, but isolated"),
        pytest.param(
            {"EndpointMode": "serverless", "ModelNetworkIsolation": "no"} | VPC,
            "Leave SubnetIds and SecurityGroupIds empty",
            id="serverless in a VPC",
        ),
        pytest.param({"ServerlessMemoryMB": "2000"}, "AllowedValues", id="memory between SageMaker's sizes"),
        pytest.param({"ServerlessMaxConcurrency": "201"}, "between", id="more concurrency than SageMaker has"),
        pytest.param({"SubnetIds": "subnet-0a1b2c3d"}, "two to sixteen ids of subnets", id="one subnet"),
        pytest.param({"SubnetIds": "vpc-0a1b2c3d,vpc-4e5f6a7b"}, "ids of subnets", id="VPCs instead of subnets"),
        pytest.param({"SecurityGroupIds": "default"}, "ids of security groups", id="a security group's name"),
        pytest.param(VPC | {"SecurityGroupIds": ""}, "Give a security group", id="subnets without security group"),
        pytest.param(VPC | {"SubnetIds": ""}, "Give two subnets", id="security group without subnets"),
    ],
)
def test_bad_parameters_are_refused_with_a_remedy(
    judge: Callable[[dict[str, str]], None], parameters: dict[str, str], remedy: str
) -> None:
    with pytest.raises(ClientError, match=remedy):
        judge(parameters)
