"""Stacks for the tests of CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from region import ROLE, Region

PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "${Word}", "End": True}}}
"""A state machine whose result is a substitution."""


@contextmanager
def stack_name(region: Region, test: str) -> Iterator[str]:
    """Return the name of a stack from that of a test, and delete the stack at the end."""
    stack = "".join(character for character in test.title() if character.isalnum())[:60]
    yield stack
    region.client("cloudformation").delete_stack(StackName=stack)


def deploy(region: Region, name: str, resources: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """Create or update a stack with a change set, as sam does, and return its description."""
    client = region.client("cloudformation")
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in sections.pop("values", {}).items()]
    exists = any(stack["StackName"] == name for stack in client.describe_stacks()["Stacks"])
    client.create_change_set(
        StackName=name,
        ChangeSetName="change",
        ChangeSetType="UPDATE" if exists else "CREATE",
        TemplateBody=json.dumps({"Resources": resources, **sections}),
        Parameters=parameters,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    client.execute_change_set(ChangeSetName="change", StackName=name)
    stack: dict[str, Any] = client.describe_stacks(StackName=name)["Stacks"][0]
    return stack


def outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}


def reasons(region: Region, name: str) -> dict[str, str]:
    events = region.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return {e["LogicalResourceId"]: e["ResourceStatusReason"] for e in events if e["ResourceStatus"].endswith("FAILED")}


def function(code: str, **properties: Any) -> dict[str, Any]:
    defaults = {"Runtime": "python3.13", "Handler": "index.handler", "Role": ROLE, "Timeout": "20"}
    return {"Type": "AWS::Lambda::Function", "Properties": {**defaults, "Code": {"ZipFile": code}, **properties}}
