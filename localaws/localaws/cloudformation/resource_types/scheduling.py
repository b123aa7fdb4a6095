"""AWS::Scheduler and AWS::Events.

Schedules are stored but never fire. moto's own class of rules cannot delete a rule that has targets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localaws.cloudformation.resource import Handled, Request, ResourceType

SCHEDULE = (
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "GroupName",
    "KmsKeyArn",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "State",
    "Target",
)


def _create_schedule(request: Request) -> Handled:
    answer = request.call("scheduler", "create_schedule", Name=request.name, **request.pick(*SCHEDULE))
    return Handled(request.name, {"Arn": answer["ScheduleArn"]})


def _update_schedule(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    del old_properties
    request.call("scheduler", "update_schedule", Name=current.physical_id, **request.pick(*SCHEDULE))
    return current


def _delete_schedule(request: Request, physical_id: str) -> None:
    request.call("scheduler", "delete_schedule", Name=physical_id, **request.pick("GroupName"))


def _put_rule(request: Request) -> Handled:
    options = request.pick("Description", "ScheduleExpression", "State", "RoleArn", "EventBusName")
    if pattern := request.properties.get("EventPattern"):
        options["EventPattern"] = json.dumps(pattern)
    arn = request.call("events", "put_rule", Name=request.name, **options)["RuleArn"]
    if targets := request.properties.get("Targets"):
        request.call("events", "put_targets", Rule=request.name, Targets=targets, **request.pick("EventBusName"))
    return Handled(request.name, {"Arn": arn})


def _update_rule(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    kept = {target["Id"] for target in request.properties.get("Targets", [])}
    _remove_targets(request, current.physical_id, {target["Id"] for target in old_properties.get("Targets", [])} - kept)
    return _put_rule(request)


def _delete_rule(request: Request, physical_id: str) -> None:
    _remove_targets(request, physical_id, {target["Id"] for target in request.properties.get("Targets", [])})
    request.call("events", "delete_rule", Name=physical_id, **request.pick("EventBusName"))


def _remove_targets(request: Request, rule: str, ids: set[str]) -> None:
    if ids:
        request.call("events", "remove_targets", Rule=rule, Ids=sorted(ids), **request.pick("EventBusName"))


TYPES = (
    ResourceType("AWS::Events::Rule", _put_rule, _delete_rule, _update_rule, "Name", frozenset({"EventBusName"})),
    ResourceType(
        "AWS::Scheduler::Schedule",
        _create_schedule,
        _delete_schedule,
        _update_schedule,
        "Name",
        frozenset({"GroupName"}),
    ),
)
