"""The model registry: versions, approval, deletion."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from region import IMAGE, Region


@pytest.fixture
def group(region: Region) -> str:
    name = f"group-{uuid.uuid4().hex[:8]}"
    region.client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    return name


def register(region: Region, group: str, **more: Any) -> str:
    url = "s3://models/a/model.tar.gz"
    specification = {"Containers": [{"Image": IMAGE, "ModelDataUrl": url}], "SupportedContentTypes": ["text/csv"]}
    arn: str = region.client("sagemaker").create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=specification, **more
    )["ModelPackageArn"]
    return arn


def versions(region: Region, group: str) -> list[int]:
    found = region.client("sagemaker").list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    return [version["ModelPackageVersion"] for version in found]


def test_a_number_is_never_given_twice(region: Region, group: str) -> None:
    first, second = register(region, group), register(region, group)
    assert first.endswith(f":model-package/{group}/1")
    region.client("sagemaker").delete_model_package(ModelPackageName=second)
    assert register(region, group).endswith("/3")
    assert sorted(versions(region, group)) == [1, 3]
    with pytest.raises(ClientError, match="not found"):
        region.client("sagemaker").describe_model_package(ModelPackageName=second)


def test_the_same_client_token_registers_once(region: Region, group: str) -> None:
    token = uuid.uuid4().hex
    assert register(region, group, ClientToken=token) == register(region, group, ClientToken=token)
    assert versions(region, group) == [1]


def test_an_update_changes_only_what_it_names(region: Region, group: str) -> None:
    sagemaker = region.client("sagemaker")
    arn = register(
        region, group, ModelApprovalStatus="PendingManualApproval", CustomerMetadataProperties={"RunId": "r1"}
    )
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected", ApprovalDescription="by Ada")
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"Ticket": "7"})
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["CustomerMetadataProperties"] == {"RunId": "r1", "Ticket": "7"}
    assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == ("Rejected", "by Ada")


def test_a_group_with_versions_cannot_be_deleted(region: Region, group: str) -> None:
    sagemaker, arn = region.client("sagemaker"), register(region, group)
    with pytest.raises(sagemaker.exceptions.ConflictException, match="contains versions"):
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName=group)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"Tags": [{"Key": "a", "Value": "b"}]}, id="tags on a version"),
        pytest.param({"CustomerMetadataProperties": {"RunId": "x" * 257}}, id="value too long"),
        pytest.param({"CustomerMetadataProperties": {"RunId": "a;b"}}, id="character not allowed"),
    ],
)
def test_what_the_api_refuses(region: Region, group: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        register(region, group, **wrong)
    assert versions(region, group) == []


def test_a_group_is_made_once(region: Region, group: str) -> None:
    with pytest.raises(ClientError, match="already exists"):
        region.client("sagemaker").create_model_package_group(ModelPackageGroupName=group)
