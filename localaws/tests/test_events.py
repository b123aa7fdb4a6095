"""EventBridge: a change in the model registry starts the state machine of a rule."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from region import IMAGE, ROLE, Region, wait_for
from state_machines import machine

RULE_ROLE = "arn:aws:iam::123456789012:role/rule"
TRANSFORMER = {"InputPathsMap": {"version": "$.detail.ModelPackageVersion"}, "InputTemplate": '{"Version": <version>}'}


@dataclass(frozen=True)
class Registry:
    """A model package group, a rule for it, and the state machine that the rule starts."""

    region: Region
    group: str
    machine: str

    def register(self, **more: Any) -> str:
        containers = [{"Image": IMAGE, "ModelDataUrl": "s3://models/a/model.tar.gz"}]
        answer = self.region.client("sagemaker").create_model_package(
            ModelPackageGroupName=self.group,
            InferenceSpecification={"Containers": containers, "SupportedContentTypes": ["text/csv"]},
            **more,
        )
        return str(answer["ModelPackageArn"])

    def update(self, arn: str, **changes: Any) -> None:
        self.region.client("sagemaker").update_model_package(ModelPackageArn=arn, **changes)

    def listen(self, detail: dict[str, Any] | None = None, *, state: str = "ENABLED", **target: Any) -> None:
        """Create the rule with a pattern besides the group, and the input of its target."""
        pattern = {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Model Package State Change"],
            "detail": {"ModelPackageGroupName": [self.group], **(detail or {})},
        }
        events = self.region.client("events")
        events.put_rule(Name=self.group, EventPattern=json.dumps(pattern), State=state)
        target = {"Id": "machine", "Arn": self.machine, "RoleArn": RULE_ROLE, **target}
        events.put_targets(Rule=self.group, Targets=[target])

    def inputs(self) -> list[Any]:
        """Return the inputs of all executions so far, the oldest first."""
        steps = self.region.client("stepfunctions")
        listed = steps.list_executions(stateMachineArn=self.machine)["executions"]
        arns = [entry["executionArn"] for entry in sorted(listed, key=lambda entry: entry["startDate"])]
        return [json.loads(steps.describe_execution(executionArn=arn)["input"]) for arn in arns]

    def started(self, count: int = 1) -> list[Any]:
        found: list[Any] = wait_for(self.inputs, lambda inputs: len(inputs) >= count)
        return found


@pytest.fixture
def registry(region: Region) -> Iterator[Registry]:
    name = f"group-{uuid.uuid4().hex[:8]}"
    region.client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    arn = region.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(machine({"Type": "Pass"})), roleArn=ROLE
    )["stateMachineArn"]
    yield Registry(region, name, arn)
    region.client("events").put_rule(Name=name, EventPattern='{"source": ["nobody"]}')


def test_an_approval_starts_the_machine_in_the_role_of_the_rule(region: Region, registry: Registry) -> None:
    registry.listen(
        {"ModelApprovalStatus": ["Approved"], "UpdatedModelPackageFields": ["ModelApprovalStatus"]},
        InputTransformer=TRANSFORMER,
    )
    registry.register(ModelApprovalStatus="Approved")  # a registration updates no field
    arn = registry.register(ModelApprovalStatus="PendingManualApproval")
    registry.update(arn, CustomerMetadataProperties={"Ticket": "7"})
    registry.update(arn, ModelApprovalStatus="Rejected")
    registry.update(arn, ModelApprovalStatus="Approved")
    assert registry.started() == [{"Version": 2}]
    calls = [json.loads(line) for line in (region.home / "calls.jsonl").read_text().splitlines()]
    mine = [call for call in calls if call["resource"] == registry.machine]
    assert [(call["role"], call["action"]) for call in mine] == [(RULE_ROLE, "states:StartExecution")]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param({"Input": '{"Say": "constant"}'}, lambda given: given == {"Say": "constant"}, id="constant"),
        pytest.param({"InputPath": "$.detail.ModelPackageVersion"}, lambda given: given == 1, id="path"),
        pytest.param({}, lambda given: given["detail"]["CustomerMetadataProperties"] == {"RunId": "r1"}, id="event"),
    ],
)
def test_what_a_target_is_given(registry: Registry, target: dict[str, Any], expected: Callable[[Any], bool]) -> None:
    registry.listen(**target)
    registry.register(CustomerMetadataProperties={"RunId": "r1"})
    (given,) = registry.started()
    assert expected(given), given


def test_a_disabled_rule_starts_nothing(registry: Registry) -> None:
    registry.listen(state="DISABLED", Input='{"Rule": "disabled"}')
    registry.register()
    registry.listen(Input='{"Rule": "enabled"}')
    registry.register()
    assert registry.started() == [{"Rule": "enabled"}]


def test_a_start_that_fails_harms_neither_the_change_nor_the_next_event(region: Region, registry: Registry) -> None:
    registry.listen(InputTransformer=TRANSFORMER)
    region.order(service="states", operation="StartExecution", error="ExecutionLimitExceeded")
    registry.register()
    wait_for(lambda: region.control("GET", "faults").json(), lambda faults: faults == [])
    registry.register()
    assert registry.started() == [{"Version": 2}]
