"""AWS::Scheduler. Schedules are stored and can be read back; nothing in the region makes them fire."""

from __future__ import annotations

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


TYPES = (
    ResourceType(
        "AWS::Scheduler::Schedule",
        _create_schedule,
        _delete_schedule,
        _update_schedule,
        "Name",
        frozenset({"GroupName"}),
    ),
)
