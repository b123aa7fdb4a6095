"""Custom resources of CloudFormation: the requests to their function, and what its responses do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from region import ROLE, Region
from stacks import PASS, deploy, function, outputs, reasons, stack_name

CUSTOM = """
import json, urllib.request

def handler(event, context):
    print(json.dumps(event))
    properties = event["ResourceProperties"]
    if properties.get("Answer") == "none":
        return
    answer = {"Status": "SUCCESS", "PhysicalResourceId": properties.get("Id", "fixed")}
    answer["Data"] = {"Echo": properties["Text"]}
    if properties.get("Answer") == "failure" and event["RequestType"] != "Delete":
        answer = {"Status": "FAILED", "Reason": "told to fail", "PhysicalResourceId": "fixed"}
    answer |= {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)
"""

LATER = CUSTOM.replace(
    "    print(json.dumps(event))\n",
    """
    if "Later" not in event:
        import boto3
        later = json.dumps({**event, "Later": True}).encode()
        boto3.client("lambda").invoke(FunctionName=context.invoked_function_arn, InvocationType="Event", Payload=later)
        return
""",
)


@pytest.fixture
def name(region: Region, request: pytest.FixtureRequest) -> Iterator[str]:
    with stack_name(region, request.node.name) as stack:
        yield stack


def custom(**properties: Any) -> dict[str, Any]:
    return {"Type": "Custom::Echo", "Properties": {"ServiceToken": {"Fn::GetAtt": ["Asked", "Arn"]}, **properties}}


def asked(region: Region, name: str) -> list[dict[str, Any]]:
    """Return the requests that the function of a custom resource got, in order."""
    groups = region.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name[:24]}-Asked")["logGroups"]
    events = [
        event
        for group in groups
        for event in region.client("logs").filter_log_events(logGroupName=group["logGroupName"])["events"]
    ]
    events.sort(key=lambda event: event["timestamp"])
    return [json.loads(event["message"]) for event in events if event["message"].startswith('{"RequestType"')]


def test_a_custom_resource_asks_its_function_at_creation_update_and_deletion(region: Region, name: str) -> None:
    def resources(text: str) -> dict[str, Any]:
        return {"Asked": function(CUSTOM), "Echo": custom(Text=text, Number=1, Flag=True)}

    section = {"Outputs": {"Echo": {"Value": {"Fn::GetAtt": ["Echo", "Echo"]}}, "Id": {"Value": {"Ref": "Echo"}}}}
    assert outputs(deploy(region, name, resources("one"), **section)) == {"Echo": "one", "Id": "fixed"}
    assert outputs(deploy(region, name, resources("two"), **section)) == {"Echo": "two", "Id": "fixed"}
    region.client("cloudformation").delete_stack(StackName=name)
    created, updated, deleted = asked(region, name)
    assert created["ResourceProperties"] | {"ServiceToken": ""} == {
        "ServiceToken": "",
        "Text": "one",
        "Number": "1",
        "Flag": "true",
    }
    assert updated["OldResourceProperties"]["Text"] == "one"
    assert (deleted["RequestType"], deleted["PhysicalResourceId"]) == ("Delete", "fixed")


@pytest.mark.parametrize(
    ("answer", "status"),
    [pytest.param("", "CREATE_COMPLETE", id="yes"), pytest.param("none", "ROLLBACK_COMPLETE", id="no")],
)
def test_a_function_may_answer_by_an_invocation_of_itself(region: Region, name: str, answer: str, status: str) -> None:
    resources = {"Asked": function(LATER), "Echo": custom(Text="later", Answer=answer)}
    assert deploy(region, name, resources)["StackStatus"] == status, reasons(region, name)


def test_another_physical_id_after_an_update_makes_the_old_one_due(region: Region, name: str) -> None:
    for physical_id in ("old", "new"):
        deploy(region, name, {"Asked": function(CUSTOM), "Echo": custom(Text="t", Id=physical_id)})
    requests = asked(region, name)
    assert [(request["RequestType"], request.get("PhysicalResourceId")) for request in requests] == [
        ("Create", None),
        ("Update", "old"),
        ("Delete", "old"),
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("failure", "told to fail"), ("none", "did not receive a response")],
    ids=["FAILED", "silent"],
)
def test_a_failed_custom_resource_rolls_an_update_back(region: Region, name: str, answer: str, reason: str) -> None:
    def resources(text: str, **more: Any) -> dict[str, Any]:
        machine = {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"RoleArn": ROLE, "Definition": PASS, "DefinitionSubstitutions": {"Word": text}},
        }
        return {
            "Asked": function(CUSTOM),
            "Machine": machine,
            "Echo": {**custom(Text=text, **more), "DependsOn": "Machine"},
        }

    section = {"Outputs": {"Machine": {"Value": {"Ref": "Machine"}}}}
    deploy(region, name, resources("before"), **section)
    added = {"Added": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": f"added-{answer}"}}}
    stack = deploy(region, name, {**added, **resources("after", Answer=answer)}, **section)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert reason in reasons(region, name)["Echo"]
    machine = region.client("stepfunctions").describe_state_machine(stateMachineArn=outputs(stack)["Machine"])
    assert json.loads(machine["definition"])["States"]["A"]["Result"] == "before"
    assert not [t for t in region.client("sns").list_topics()["Topics"] if t["TopicArn"].endswith(f"added-{answer}")]


def test_a_failed_creation_asks_the_function_to_delete_what_it_began(region: Region, name: str) -> None:
    stack = deploy(region, name, {"Asked": function(CUSTOM), "Echo": custom(Text="t", Answer="failure")})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert [request["RequestType"] for request in asked(region, name)] == ["Create", "Delete"]
