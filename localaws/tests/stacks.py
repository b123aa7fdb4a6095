"""Stacks for the tests of CloudFormation: how they are deployed and what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from region import ROLE, Region

PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "${Word}", "End": True}}}
"""A state machine that results in a word of the stack's choice."""


@contextmanager
def stack_name(region: Region, test: str) -> Iterator[str]:
    """The name of a stack, made from a test's, that is deleted after the test."""
    stack = "".join(character for character in test.title() if character.isalnum())[:60]
    yield stack
    region.client("cloudformation").delete_stack(StackName=stack)


def deploy(region: Region, name: str, resources: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """Create or update a stack by a change set, as sam and the AWS command line do; return its description."""
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
