"""Serverless endpoints: they answer like others, and refuse what SageMaker does not support."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from region import IMAGE, ROLE, Region
from test_endpoints import create_config, create_endpoint, create_model, invoke, settled

SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}


def config(region: Region, model: str, variant: Any = None, **request: Any) -> str:
    name = f"serverless-{uuid.uuid4().hex[:8]}"
    first = {"VariantName": "AllTraffic", "ModelName": model, "ServerlessConfig": SERVERLESS, **(variant or {})}
    region.client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=[first], **request)
    return name


def test_a_serverless_endpoint_answers_and_is_updated(region: Region) -> None:
    sagemaker = region.client("sagemaker")
    name = create_endpoint(region, config(region, create_model(region, "first")))
    (variant,) = settled(region, name)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == SERVERLESS
    assert invoke(region, name)["model"] == "first"
    with pytest.raises(ClientError, match="larger than 4194304 bytes"):
        invoke(region, name, b"x" * (4 * 1024 * 1024 + 1))
    second = config(region, create_model(region, "second"))
    guardrails: Any = {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
    }
    with pytest.raises(ClientError, match="DeploymentConfig is not supported"):
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second, DeploymentConfig=guardrails)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    assert settled(region, name)["EndpointConfigName"] == second
    assert invoke(region, name)["model"] == "second"
    sagemaker.delete_endpoint(EndpointName=name)


def test_an_endpoint_with_instances_cannot_become_serverless(region: Region) -> None:
    name = create_endpoint(region, create_config(region))
    settled(region, name)
    with pytest.raises(ClientError, match="cannot be converted"):
        region.client("sagemaker").update_endpoint(
            EndpointName=name, EndpointConfigName=config(region, create_model(region))
        )
    region.client("sagemaker").delete_endpoint(EndpointName=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"ServerlessConfig": SERVERLESS | {"MemorySizeInMB": 2000}}, "memorySizeInMB", id="memory"),
        pytest.param({"ServerlessConfig": SERVERLESS | {"MaxConcurrency": 201}}, "maxConcurrency", id="concurrency"),
        pytest.param(
            {"ServerlessConfig": SERVERLESS | {"ProvisionedConcurrency": 6}}, "provisionedConcurrency", id="provisioned"
        ),
        pytest.param({"InstanceType": "ml.m5.large"}, "InstanceType", id="instances as well"),
    ],
)
def test_variants_that_are_refused(region: Region, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        config(region, create_model(region), variant=change)


def test_data_capture_is_refused(region: Region) -> None:
    model = create_model(region)
    capture: Any = {
        "InitialSamplingPercentage": 10,
        "DestinationS3Uri": f"s3://{region.bucket}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    with pytest.raises(ClientError, match="Data capture"):
        config(region, model, DataCaptureConfig=capture)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param({"EnableNetworkIsolation": True}, "Network isolation", id="network isolation"),
        pytest.param(
            {"VpcConfig": {"Subnets": ["subnet-0a1b2c3d"], "SecurityGroupIds": ["sg-0a1b2c3d"]}}, "VPC", id="VPC"
        ),
    ],
)
def test_models_that_are_refused(region: Region, model: dict[str, Any], message: str) -> None:
    name = f"model-{uuid.uuid4().hex[:8]}"
    url = region.archive(f"artifacts/{name}/model.tar.gz", {"name.txt": "first"})
    region.client("sagemaker").create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": url}, **model
    )
    described = region.client("sagemaker").describe_model(ModelName=name)
    assert {key: described[key] for key in model} == model
    with pytest.raises(ClientError, match=message):
        config(region, name)
