"""AWS::ECR and AWS::CodeBuild."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.cloudformation.resource import Handled, Request, ResourceType, camel_case


def _create_repository(request: Request) -> Handled:
    answer = request.call(
        "ecr",
        "create_repository",
        repositoryName=request.name,
        **camel_case(request.pick("ImageTagMutability", "ImageScanningConfiguration", "EncryptionConfiguration")),
        **({"tags": request.properties["Tags"]} if "Tags" in request.properties else {}),
    )["repository"]
    _put_policies(request, request.name)
    return Handled(request.name, {"Arn": answer["repositoryArn"], "RepositoryUri": answer["repositoryUri"]})


def _update_repository(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    del old_properties
    name = current.physical_id
    mutability = request.properties.get("ImageTagMutability", "MUTABLE")
    scanning = camel_case(request.properties.get("ImageScanningConfiguration", {"ScanOnPush": False}))
    request.call("ecr", "put_image_tag_mutability", repositoryName=name, imageTagMutability=mutability)
    request.call("ecr", "put_image_scanning_configuration", repositoryName=name, imageScanningConfiguration=scanning)
    _put_policies(request, name)
    return current


def _put_policies(request: Request, name: str) -> None:
    if text := request.properties.get("LifecyclePolicy", {}).get("LifecyclePolicyText"):
        request.call("ecr", "put_lifecycle_policy", repositoryName=name, lifecyclePolicyText=text)


def _delete_repository(request: Request, physical_id: str) -> None:
    request.call(
        "ecr",
        "delete_repository",
        repositoryName=physical_id,
        force=str(request.properties.get("EmptyOnDelete", "false")).lower(),
    )


PROJECT = (
    "Description",
    "Artifacts",
    "Cache",
    "Environment",
    "LogsConfig",
    "QueuedTimeoutInMinutes",
    "ServiceRole",
    "TimeoutInMinutes",
    "VpcConfig",
)


def _create_project(request: Request) -> Handled:
    source = dict(request.properties["Source"])
    # In the API this name is not camelCase.
    buildspec = {"buildspec": source.pop("BuildSpec")} if "BuildSpec" in source else {}
    # moto requires a location even without a source.
    location = {"location": "none"} if source["Type"] == "NO_SOURCE" else {}
    answer = request.call(
        "codebuild",
        "create_project",
        name=request.name,
        source={**location, **camel_case(source), **buildspec},
        **camel_case(request.pick(*PROJECT)),
    )
    return Handled(request.name, {"Arn": answer["project"]["arn"]})


def _delete_project(request: Request, physical_id: str) -> None:
    request.call("codebuild", "delete_project", name=physical_id)


TYPES = (
    ResourceType(
        "AWS::ECR::Repository",
        _create_repository,
        _delete_repository,
        _update_repository,
        "RepositoryName",
        frozenset({"EncryptionConfiguration"}),
    ),
    # moto has no UpdateProject, so a change creates the project again.
    ResourceType("AWS::CodeBuild::Project", _create_project, _delete_project, name_property="Name"),
)
