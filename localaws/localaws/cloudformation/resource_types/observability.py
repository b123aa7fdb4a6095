"""AWS::CloudWatch and AWS::Logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.cloudformation.resource import Handled, Request, ResourceType, put_again

ALARM = (
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "AlarmDescription",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "Metrics",
    "Tags",
)


def _put_alarm(request: Request) -> Handled:
    request.call("cloudwatch", "put_metric_alarm", AlarmName=request.name, **request.pick(*ALARM))
    arn = f"arn:aws:cloudwatch:{request.region}:{request.account_id}:alarm:{request.name}"
    return Handled(request.name, {"Arn": arn})


def _delete_alarm(request: Request, physical_id: str) -> None:
    request.call("cloudwatch", "delete_alarms", AlarmNames=[physical_id])


def _create_log_group(request: Request) -> Handled:
    tags = {tag["Key"]: tag["Value"] for tag in request.properties.get("Tags", [])}
    optional = {"tags": tags, "kmsKeyId": request.properties.get("KmsKeyId")}
    given = {name: value for name, value in optional.items() if value}
    request.call("logs", "create_log_group", logGroupName=request.name, **given)
    _set_retention(request, request.name)
    arn = f"arn:aws:logs:{request.region}:{request.account_id}:log-group:{request.name}:*"
    return Handled(request.name, {"Arn": arn})


def _update_log_group(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    if "RetentionInDays" in old_properties and "RetentionInDays" not in request.properties:
        request.call("logs", "delete_retention_policy", logGroupName=current.physical_id)
    _set_retention(request, current.physical_id)
    return current


def _set_retention(request: Request, name: str) -> None:
    if days := request.properties.get("RetentionInDays"):
        request.call("logs", "put_retention_policy", logGroupName=name, retentionInDays=days)


def _delete_log_group(request: Request, physical_id: str) -> None:
    request.call("logs", "delete_log_group", logGroupName=physical_id)


TYPES = (
    ResourceType(
        "AWS::CloudWatch::Alarm",
        _put_alarm,
        _delete_alarm,
        put_again(_put_alarm),
        "AlarmName",
    ),
    ResourceType("AWS::Logs::LogGroup", _create_log_group, _delete_log_group, _update_log_group, "LogGroupName"),
)
