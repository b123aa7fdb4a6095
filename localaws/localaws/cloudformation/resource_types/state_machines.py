"""AWS::StepFunctions. moto's classes use a backend that executes nothing, and ignore the location of a definition."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localaws.cloudformation.resource import Handled, Request, ResourceError, ResourceType, camel_case


def definition(request: Request) -> str:
    """Return the definition with its substitutions, from S3, a text or an object."""
    properties = request.properties
    if location := properties.get("DefinitionS3Location"):
        version = {"VersionId": location["Version"]} if "Version" in location else {}
        answer = request.call("s3", "get_object", Bucket=location["Bucket"], Key=location["Key"], **version)
        text = str(answer["Body"].read(), "utf-8")
    elif "Definition" in properties:
        text = json.dumps(properties["Definition"])
    elif "DefinitionString" in properties:
        text = str(properties["DefinitionString"])
    else:
        raise ResourceError("One of DefinitionS3Location, Definition and DefinitionString must be given.")
    for name, value in properties.get("DefinitionSubstitutions", {}).items():
        text = text.replace(f"${{{name}}}", str(value).lower() if isinstance(value, bool) else str(value))
    return text


def _create_machine(request: Request) -> Handled:
    answer = request.call(
        "stepfunctions",
        "create_state_machine",
        name=request.name,
        type=request.properties.get("StateMachineType", "STANDARD"),
        definition=definition(request),
        tags=[camel_case(tag) for tag in request.properties.get("Tags", [])],
        **_options(request),
    )
    arn = answer["stateMachineArn"]
    return Handled(arn, {"Arn": arn, "Name": request.name, "StateMachineRevisionId": "INITIAL"})


def _update_machine(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    arn = current.physical_id
    request.call(
        "stepfunctions",
        "update_state_machine",
        stateMachineArn=arn,
        definition=definition(request),
        **_options(request),
    )
    tags = [camel_case(tag) for tag in request.properties.get("Tags", [])]
    kept = {tag["key"] for tag in tags}
    if gone := [tag["Key"] for tag in old_properties.get("Tags", []) if tag["Key"] not in kept]:
        request.call("stepfunctions", "untag_resource", resourceArn=arn, tagKeys=gone)
    if tags:
        request.call("stepfunctions", "tag_resource", resourceArn=arn, tags=tags)
    return current


def _delete_machine(request: Request, physical_id: str) -> None:
    request.call("stepfunctions", "delete_state_machine", stateMachineArn=physical_id)


def _options(request: Request) -> dict[str, Any]:
    properties = request.properties
    return {
        "roleArn": properties["RoleArn"],
        "loggingConfiguration": camel_case(properties.get("LoggingConfiguration", {"Level": "OFF"})),
        "tracingConfiguration": camel_case(properties.get("TracingConfiguration", {"Enabled": False})),
    }


def _create_version(request: Request) -> Handled:
    # moto has no PublishStateMachineVersion. An update with publish=True does the same.
    arn = request.properties["StateMachineArn"]
    machine = request.call("stepfunctions", "describe_state_machine", stateMachineArn=arn)
    answer = request.call(
        "stepfunctions",
        "update_state_machine",
        stateMachineArn=arn,
        definition=machine["definition"],
        publish=True,
        versionDescription=request.properties.get("Description", ""),
    )
    version = answer["stateMachineVersionArn"]
    return Handled(version, {"Arn": version})


def _keep_version(request: Request, physical_id: str) -> None:
    """Delete nothing: moto has no DeleteStateMachineVersion. Versions are deleted with their state machine."""


def _create_alias(request: Request) -> Handled:
    answer = request.call(
        "stepfunctions",
        "create_state_machine_alias",
        name=request.properties.get("Name", request.name),
        routingConfiguration=_routes(request),
        description=request.properties.get("Description", ""),
    )
    arn = answer["stateMachineAliasArn"]
    return Handled(arn, {"Arn": arn})


def _update_alias(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    del old_properties
    request.call(
        "stepfunctions",
        "update_state_machine_alias",
        stateMachineAliasArn=current.physical_id,
        routingConfiguration=_routes(request),
    )
    return current


def _routes(request: Request) -> list[dict[str, Any]]:
    properties = request.properties
    if preference := properties.get(
        "DeploymentPreference"
    ):  # all traffic is shifted at once, whatever the type of deployment
        return [{"stateMachineVersionArn": preference["StateMachineVersionArn"], "weight": 100}]
    return [camel_case(route) for route in properties["RoutingConfiguration"]]


def _delete_alias(request: Request, physical_id: str) -> None:
    request.call("stepfunctions", "delete_state_machine_alias", stateMachineAliasArn=physical_id)


TYPES = (
    ResourceType(
        "AWS::StepFunctions::StateMachine",
        _create_machine,
        _delete_machine,
        _update_machine,
        "StateMachineName",
        frozenset({"StateMachineType"}),
    ),
    ResourceType("AWS::StepFunctions::StateMachineVersion", _create_version, _keep_version),
    ResourceType(
        "AWS::StepFunctions::StateMachineAlias",
        _create_alias,
        _delete_alias,
        _update_alias,
        replaced_by=frozenset({"Name"}),
    ),
)
