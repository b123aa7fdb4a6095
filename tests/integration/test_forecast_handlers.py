"""Handlers around the forecast workflow, invoked as deployed: a campaign's audience, and the sample consumer."""

from __future__ import annotations

import json
from typing import Any

import boto3
from deployed_stack import STACK_NAME, Stack

from functions.prepare_forecast.plan import contradictions
from functions.shared.execution_input import load_schema, validated

PUSH = {
    "version": 2,
    "idempotency_key": "0123456789abcdef0123456789abcdef",
    "campaign": "autumn",
    "user_id": "a",
    "forecast_date": "2026-11-02",
    "send_at_utc": "2026-11-02T06:00:00Z",
    "send_at_local": "2026-11-02T07:00:00",
    "send_hour": 7,
    "arm": "best_hour",
    "chance": 0.2,
    "source": "model",
}


def physical_id(resource: str) -> str:
    cloudformation = boto3.client("cloudformation")
    found = cloudformation.describe_stack_resource(StackName=STACK_NAME, LogicalResourceId=resource)
    return found["StackResourceDetail"]["PhysicalResourceId"]


def test_a_campaigns_audience_comes_along_with_its_tags_and_its_settings(stack: Stack) -> None:
    users = b"user_id\na\nb\n"
    stack.s3.put_object(Bucket=stack.bucket, Key="uploads/audience.csv", Body=users, Tagging="from=crm")
    event = {
        "Input": {"AudienceUri": f"s3://{stack.bucket}/uploads/audience.csv", "Campaign": {"Name": "autumn"}},
        "ExecutionId": "arn:aws:states:eu-central-1:123456789012:execution:forecast:audience",
        "ExecutionStartTime": "2026-11-01T04:00:00Z",
    }
    run, failed = stack.invoke("PrepareForecastFunction", event)
    assert not failed, run
    key = f"{run['Prefix']}/audience/audience.csv"
    assert stack.read(f"s3://{stack.bucket}/{key}") == users
    assert stack.s3.get_object_tagging(Bucket=stack.bucket, Key=key)["TagSet"] == [{"Key": "from", "Value": "crm"}]
    campaign = stack.read_json(f"s3://{stack.bucket}/{run['Prefix']}/audience/campaign.json")
    assert campaign == validated(event["Input"], load_schema("forecast"), contradictions)["Campaign"]
    assert campaign["Name"] == "autumn"


def test_a_push_that_comes_twice_is_sent_once_and_a_broken_one_comes_again(stack: Stack) -> None:
    def record(number: int, body: Any) -> dict[str, Any]:
        return {
            "messageId": f"m-{number}",
            "receiptHandle": "h",
            "body": json.dumps(body),
            "attributes": {},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:pushes",
            "awsRegion": "eu-central-1",
        }

    first, _ = stack.invoke("PushConsumerFunction", {"Records": [record(1, PUSH)]})
    second, _ = stack.invoke("PushConsumerFunction", {"Records": [record(2, PUSH), record(3, {"version": 1})]})
    assert first == {"batchItemFailures": []}
    assert second == {"batchItemFailures": [{"itemIdentifier": "m-3"}]}
    (item,) = boto3.client("dynamodb").scan(TableName=physical_id("SentTable"))["Items"]
    assert item["status"] == {"S": "COMPLETED"}
    logged = boto3.client("logs").filter_log_events(logGroupName=physical_id("FunctionsLogGroup"))["events"]
    assert sum(PUSH["idempotency_key"] in event["message"] for event in logged) == 1
