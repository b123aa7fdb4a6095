"""Policies of the roles of a deployed stack, and the calls that the roles made.

The policies come through boto3 from where the AWS_* variables point. The calls are the local region's record and a list
of those that only AWS itself makes with a role (``calls_only_on_aws.json``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import boto3
from iam_policy import Policy

from functions.publish_sql.events_table import location

ONLY_ON_AWS = Path(__file__).with_name("calls_only_on_aws.json")
RECORDED = "recorded"


class Call(NamedTuple):
    """One call. Its `origin` is ``recorded``, or the reason why AWS makes it."""

    role: str
    action: str
    resource: str
    context: Mapping[str, str]
    origin: str


@dataclass(frozen=True)
class Role:
    """A role of the stack: its logical id and its effective policies."""

    name: str
    arn: str
    policies: Sequence[Policy]


@dataclass(frozen=True)
class Deployed:
    """A deployed stack: its parameters, its resources as CloudFormation describes them, and its roles."""

    name: str
    parameters: Mapping[str, str]
    resources: Sequence[Mapping[str, Any]]
    roles: Sequence[Role]


def read_stack(name: str) -> Deployed:
    """Read a stack."""
    cloudformation = boto3.client("cloudformation")
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    parameters = {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}
    resources: list[Any] = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    return Deployed(name, parameters, resources, list(_roles(resources)))


def _roles(resources: Iterable[Mapping[str, Any]]) -> Iterator[Role]:
    """Yield the roles with their inline and attached policies."""
    iam = boto3.client("iam")
    for resource in resources:
        if resource["ResourceType"] != "AWS::IAM::Role":
            continue
        name = resource["PhysicalResourceId"]
        policies: list[Any] = [
            _document(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)
            policies.append(_document(document["PolicyVersion"]["Document"]))
        yield Role(resource["LogicalResourceId"], iam.get_role(RoleName=name)["Role"]["Arn"], policies)


def _document(policy: Any) -> Any:
    """Return a policy as a document; boto3 decodes AWS's policies, the local region may return text."""
    return json.loads(policy) if isinstance(policy, str) else policy


def recorded_calls(record: Path, roles: Iterable[Role]) -> Iterator[Call]:
    """Yield the recorded calls that roles of the stack made."""
    names = {role.arn: role.name for role in roles}
    for line in record.read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        if name := names.get(call["role"]):
            yield Call(name, call["action"], call["resource"], call["context"], RECORDED)


def calls_only_on_aws(stack: Deployed) -> Iterator[Call]:
    """Yield the calls that only AWS makes; ``${LogicalId}`` in a resource is that resource's physical id."""
    region, account = boto3.session.Session().region_name, stack.roles[0].arn.split(":")[4]
    values = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in stack.resources}
    values |= {
        "Region": region,
        "Account": account,
        "StackName": stack.name,
        "Subnet": stack.parameters["SubnetIds"].partition(",")[0],
        "SecurityGroup": stack.parameters["SecurityGroupIds"].partition(",")[0],
        "EventsDatabase": stack.parameters["EventsDatabase"],
        "EventsTableName": stack.parameters["EventsTableName"],
        "KeyArn": f"arn:aws:kms:{region}:{account}:key/{values.get('Key', 'brought-along')}",
        "ModelPackageGroupName": values["ModelPackageGroup"].rpartition("/")[2],
        # A queue's physical id is its URL.
        "MissedStartsQueueName": values["MissedStartsQueue"].rpartition("/")[2],
        "PushQueueName": values["PushQueue"].rpartition("/")[2],
    }
    if name := stack.parameters["EventsTableName"]:
        table: Any = boto3.client("glue").get_table(DatabaseName=stack.parameters["EventsDatabase"], Name=name)["Table"]
        values["EventsBucket"], _ = location(table)
    if base_image := stack.parameters["BaseImage"]:
        values["BaseImageRepository"] = base_image.partition("/")[2].partition(":")[0]
    for entry in json.loads(ONLY_ON_AWS.read_text(encoding="utf-8")):
        if entry.get("if", "Bucket") not in values:  # a resource that a parameter's choice has left out
            continue
        context = {key: Template(value).substitute(values) for key, value in entry.get("context", {}).items()}
        for role in stack.roles:
            if re.fullmatch(entry["role"], role.name):
                for action in entry["actions"]:
                    for resource in entry["resources"]:
                        arn = Template(resource).substitute(values)
                        yield Call(role.name, action, arn, context, entry["reason"])
