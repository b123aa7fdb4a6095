"""AWS::Lambda. moto's classes drop most properties, and have no aliases and no deletion of versions."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from localaws.cloudformation.resource import Handled, Request, ResourceError, ResourceType

CONFIGURATION = (
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "VpcConfig",
    "Environment",
    "Runtime",
    "DeadLetterConfig",
    "TracingConfig",
    "Layers",
    "EphemeralStorage",
    "LoggingConfig",
)
"""Properties that are parameters of CreateFunction and UpdateFunctionConfiguration."""


def _create_function(request: Request) -> Handled:
    properties = request.properties
    if properties.get("PackageType") == "Image":
        raise ResourceError("Functions with PackageType Image are not supported by the local region; use Zip.")
    answer = request.call(
        "lambda",
        "create_function",
        FunctionName=request.name,
        Code=_code(properties["Code"]),
        Tags=_tags(properties),
        **request.pick(*CONFIGURATION, "Architectures"),
    )
    _set_concurrency(request, request.name)
    return Handled(request.name, {"Arn": answer["FunctionArn"]})


def _update_function(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    properties, name = request.properties, current.physical_id
    if properties["Code"] != old_properties["Code"]:
        request.call(
            "lambda",
            "update_function_code",
            FunctionName=name,
            **_code(properties["Code"]),
            **request.pick("Architectures"),
        )
    # A property that was removed gets its default; without these parameters the API would keep the old value.
    configuration = {"Environment": {"Variables": {}}, "Layers": [], "Description": "", **request.pick(*CONFIGURATION)}
    request.call("lambda", "update_function_configuration", FunctionName=name, **configuration)
    arn = current.attributes["Arn"]
    if gone := sorted(set(_tags(old_properties)) - set(_tags(properties))):
        request.call("lambda", "untag_resource", Resource=arn, TagKeys=gone)
    if tags := _tags(properties):
        request.call("lambda", "tag_resource", Resource=arn, Tags=tags)
    _set_concurrency(request, name)
    return current


def _set_concurrency(request: Request, name: str) -> None:
    if "ReservedConcurrentExecutions" in request.properties:
        reserved = request.properties["ReservedConcurrentExecutions"]
        request.call("lambda", "put_function_concurrency", FunctionName=name, ReservedConcurrentExecutions=reserved)


def _delete_function(request: Request, physical_id: str) -> None:
    request.call("lambda", "delete_function", FunctionName=physical_id)


def _code(code: Mapping[str, Any]) -> dict[str, Any]:
    if "ZipFile" in code:  # the text of the module `index`
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", code["ZipFile"])
        return {"ZipFile": archive.getvalue()}
    return {name: code[name] for name in ("S3Bucket", "S3Key", "S3ObjectVersion") if name in code}


def _tags(properties: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])}


def _create_version(request: Request) -> Handled:
    answer = request.call("lambda", "publish_version", **request.pick("FunctionName", "Description", "CodeSha256"))
    return Handled(answer["FunctionArn"], {"Version": answer["Version"], "FunctionArn": answer["FunctionArn"]})


def _delete_version(request: Request, physical_id: str) -> None:
    name, _, version = physical_id.partition(":function:")[2].partition(":")
    request.call("lambda", "delete_function", FunctionName=name, Qualifier=version)


def _create_alias(request: Request) -> Handled:
    parameters = request.pick("FunctionName", "FunctionVersion", "Name", "Description")
    answer = request.call("lambda", "create_alias", **parameters)
    return Handled(answer["AliasArn"], {"AliasArn": answer["AliasArn"]})


def _update_alias(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    del old_properties
    parameters = request.pick("FunctionName", "FunctionVersion", "Name", "Description")
    request.call("lambda", "update_alias", **parameters)
    return current


def _delete_alias(request: Request, physical_id: str) -> None:
    del physical_id
    request.call("lambda", "delete_alias", **request.pick("FunctionName", "Name"))


TYPES = (
    ResourceType(
        "AWS::Lambda::Function",
        _create_function,
        _delete_function,
        _update_function,
        "FunctionName",
        frozenset({"PackageType"}),
    ),
    ResourceType("AWS::Lambda::Version", _create_version, _delete_version),
    ResourceType(
        "AWS::Lambda::Alias",
        _create_alias,
        _delete_alias,
        _update_alias,
        replaced_by=frozenset({"FunctionName", "Name"}),
    ),
)
