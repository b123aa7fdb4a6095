"""The forecast workflow from visits to tables and messages."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import forecast_scale
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deployed_stack import STACK_NAME, Execution, Production, Stack, quota, requested

from demo import forecast_run, lift_run
from visitcast.data.schema import HOURS
from visitcast.events.dates import FILE_SCHEMA

DATE = "2026-11-01"
INPUT: dict[str, Any] = {"ForecastDate": DATE, "AsOf": f"{DATE}T00:00:00Z", "HandOver": False}


@pytest.fixture(scope="module")
def published(stack: Stack, production: Production) -> Execution:
    """A run that succeeded, with its messages handed over."""
    assert production.execution.status == "SUCCEEDED", production.execution.cause
    execution = stack.run_forecast(INPUT | {"HandOver": True})
    assert execution.status == "SUCCEEDED", f"{execution.end_state}: {execution.error}: {execution.cause}"
    return execution


def table(stack: Stack, name: str, columns: str) -> list[dict[str, str]]:
    return stack.query(f"SELECT {columns} FROM {name} WHERE dt = '{DATE}' ORDER BY user_id")


FORECAST = (
    "user_id, cardinality(first_visit_hour) AS hours, cardinality(visit_hour) AS chances, best_hour, confidence, "
    "source, reduce(first_visit_hour, 0.0, (sum, chance) -> sum + chance, sum -> sum) AS total"
)


def test_every_user_has_one_forecast(stack: Stack, published: Execution) -> None:
    rows = table(stack, "visit_forecasts", FORECAST)
    users = stack.query("SELECT count(DISTINCT user_id) AS users FROM events")[0]["users"]
    assert len(rows) == len({row["user_id"] for row in rows}) == int(users)
    for row in rows:
        assert (int(row["hours"]), int(row["chances"])) == (HOURS, HOURS)
        assert float(row["total"]) == pytest.approx(1, abs=1e-3)
        assert int(row["best_hour"]) in range(HOURS)
        assert 0 < float(row["confidence"]) <= 1
        assert row["source"] in {"model", "prior"}
    assert "model" in {row["source"] for row in rows}


def in_queue(stack: Stack) -> int:
    attributes = boto3.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["PushQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def test_sends_keep_to_the_rules_and_go_to_the_queue_once_each(stack: Stack, published: Execution) -> None:
    columns = "user_id, campaign, send_hour, idempotency_key, arm, withheld, salt, propensity, possible_hours"
    plan = table(stack, "send_plans", columns)
    assert plan
    assert all(7 <= int(row["send_hour"]) < 22 for row in plan)  # quiet hours by default: 22 to 7
    assert all(int(row["possible_hours"]) >> int(row["send_hour"]) & 1 for row in plan)
    assert len({row["idempotency_key"] for row in plan}) == len(plan)
    assert {(row["campaign"], row["salt"]) for row in plan} == {("daily", "visitcast-1")}
    withheld = [row for row in plan if row["withheld"]]
    assert {row["withheld"] for row in withheld} == {"no_push"}
    assert withheld == [row for row in plan if row["arm"] == "no_push"]
    assert in_queue(stack) == len(plan) - len(withheld)
    assert table(stack, "sends", columns) == plan


def test_running_a_date_again_gives_the_same_table(stack: Stack, published: Execution) -> None:
    before = table(stack, "visit_forecasts", FORECAST), table(stack, "send_plans", "user_id, send_at_utc")
    again = stack.run_forecast(INPUT)
    assert again.status == "SUCCEEDED", again.cause
    assert (table(stack, "visit_forecasts", FORECAST), table(stack, "send_plans", "user_id, send_at_utc")) == before


def test_the_history_is_no_longer_than_estimated(published: Execution) -> None:
    files = len(published.output["planned"]["report"]["message_files"])
    most = forecast_scale.EVENTS_OF_A_RUN + files * forecast_scale.EVENTS_PER_FILE
    assert most - 100 < len(published.events) <= most


def test_what_the_jobs_write_and_their_volumes_have_the_stacks_key_and_their_cost_its_tag(
    stack: Stack, published: Execution
) -> None:
    requests, plan = requested(published, "createProcessingJob")
    (transform,) = requested(published, "createTransformJob")
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    key = next(r["PhysicalResourceId"] for r in resources if r["ResourceType"] == "AWS::KMS::Key")
    for cluster, output in (
        (requests["ProcessingResources"]["ClusterConfig"], requests["ProcessingOutputConfig"]),
        (transform["TransformResources"], transform["TransformOutput"]),
        (plan["ProcessingResources"]["ClusterConfig"], plan["ProcessingOutputConfig"]),
    ):
        assert [cluster["VolumeKmsKeyId"].rpartition("/")[2], output["KmsKeyId"].rpartition("/")[2]] == [key, key]
    for job in (requests, transform, plan):
        assert job["Tags"] == [{"Key": "visitcast:stack", "Value": STACK_NAME}]


HOSTILE = [
    *("L" * length for length in (257, 300, 10_000, 1_000_000)),
    *("\0", "dup\0", "dup\0\0", "new\nline", "\r\n", "\x1b]0;owned\x07", "\x9b2J", " ", "\u3000"),
]
HARMLESS = [
    "dup",
    "L" * 256,
    "🙂" * 256,
    "<script>alert(1)</script>",
    '=HYPERLINK("x")',
    "'; DROP TABLE events; --",
    "\u202egnp",
]


def put_events(stack: Stack, name: str, users: list[str]) -> str:
    """Add three visits of each user to the events; return the key."""
    times = [datetime(2026, 10, day, 7, 30) for day in (28, 29, 30)]
    rows = [(user, time, 60, 1, "ios") for user in users for time in times]
    columns = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), FILE_SCHEMA.types, strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, FILE_SCHEMA), sink)
    key = f"events/dt=2026-10-30/{name}.parquet"
    stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=sink.getvalue().to_pybytes())
    return key


def test_a_user_with_a_hostile_identifier_stops_nobody(stack: Stack, published: Execution) -> None:
    before = table(stack, "visit_forecasts", FORECAST)
    keys = [put_events(stack, name, users) for name, users in (("hostile", HOSTILE), ("harmless", HARMLESS))]
    try:
        execution = stack.run_forecast(INPUT)
        assert execution.status == "SUCCEEDED", execution.cause
        after = {row["user_id"]: row for row in table(stack, "visit_forecasts", FORECAST)}
        assert [after.pop(row["user_id"]) for row in before] == before
        assert set(after) == set(HARMLESS)
        note = execution.output["planned"]["report"]["notes"][0]
        assert f"Left out: {len(HOSTILE)} users." in note
        assert note.isprintable()
    finally:
        for key in keys:
            stack.s3.delete_object(Bucket=stack.bucket, Key=key)
    again = stack.run_forecast(INPUT)
    assert again.status == "SUCCEEDED", again.cause
    assert table(stack, "visit_forecasts", FORECAST) == before


def test_two_transform_instances_give_the_table_of_one(stack: Stack, published: Execution) -> None:
    before = table(stack, "visit_forecasts", FORECAST)
    two = {"Requests": {"UsersPerFile": 10}, "Transform": {"InstanceCount": 2}}
    execution = stack.run_forecast(INPUT | two)
    assert execution.status == "SUCCEEDED", execution.cause
    (job,) = requested(execution, "createTransformJob")
    assert job["TransformResources"]["InstanceCount"] == 2
    streams = boto3.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix=job["TransformJobName"]
    )["logStreams"]
    assert len(streams) == 2
    assert table(stack, "visit_forecasts", FORECAST) == before


def test_without_enough_history_for_the_network_everyone_gets_the_prior(stack: Stack, published: Execution) -> None:
    execution = stack.run_forecast({"ForecastDate": "2026-09-04", "AsOf": "2026-09-04T00:00:00Z"})
    assert execution.status == "SUCCEEDED", f"{execution.end_state}: {execution.cause}"
    report = execution.output["planned"]["report"]
    assert report["sources"].keys() == {"prior"}
    assert report["users"] > 10
    rows = stack.query("SELECT user_id, source FROM visit_forecasts WHERE dt = '2026-09-04'")
    assert len(rows) == report["users"]


def test_the_demo_shows_the_plan_and_the_lift_of_a_running_stack(
    stack: Stack, published: Execution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--home", str(stack.home), "--output", str(tmp_path), "--stack-name", STACK_NAME]
    assert forecast_run.main([*where, "--input", json.dumps(INPUT)]) == 0
    printed = capsys.readouterr().out
    report = published.output["planned"]["report"]
    assert f"Send plan of {DATE}" in printed
    assert f"{report['users']} users forecast" in printed
    assert f"{report['sends']['planned']} sends planned" in printed
    assert all(send["user_id"] in printed for send in report["examples"])
    assert lift_run.main([*where, "--until", DATE]) == 0
    printed = capsys.readouterr().out
    # The date is not over, as the clock of this machine has it, or its sends are too few.
    assert "Campaign daily, salt visitcast-1" in printed
    assert "no sends yet" in printed or "sample too small" in printed
    assert stack.processes()  # the endpoint: the region that was running still runs


def test_campaigns_of_a_date_share_gap_and_caps_and_an_opt_out(stack: Stack, published: Execution) -> None:
    columns = "user_id, campaign, send_at_utc, withheld"
    daily = table(stack, "send_plans", columns)
    opted_out, *others = [row["user_id"] for row in daily if not row["withheld"]]
    report = {
        "version": 1,
        "idempotency_key": "0" * 32,
        "user_id": opted_out,
        "campaign": "daily",
        "forecast_date": DATE,
        "status": "opted_out",
        "reported_at": f"{DATE}T12:00:00Z",
    }
    record = {"messageId": "m", "body": json.dumps(report), "eventSource": "aws:sqs"}
    assert stack.invoke("PushConsumerFunction", {"Records": [record]}) == ({"batchItemFailures": []}, False)
    before = in_queue(stack)
    evening = {"Name": "evening", "MostPushesADay": 2, "MinimumGapHours": 3}
    execution = stack.run_forecast(INPUT | {"HandOver": True, "Campaign": evening})
    assert execution.status == "SUCCEEDED", f"{execution.end_state}: {execution.cause}"

    rows = table(stack, "sends", columns)
    assert [row for row in rows if row["campaign"] == "daily"] == daily
    added = [row for row in rows if row["campaign"] == "evening"]
    assert {row["user_id"]: row["withheld"] for row in added}[opted_out] == "opted_out"
    assert in_queue(stack) - before == sum(not row["withheld"] for row in added)
    at = {row["user_id"]: datetime.fromisoformat(row["send_at_utc"]) for row in daily}
    gaps = [abs(datetime.fromisoformat(row["send_at_utc"]) - at[row["user_id"]]) for row in added]
    assert len(gaps) > len(others) / 2
    assert min(gaps) >= timedelta(hours=3)

    full = stack.run_forecast(INPUT | {"Campaign": {"Name": "third", "MostPushesADay": 2, "MinimumGapHours": 0}})
    sends = full.output["planned"]["report"]["sends"]
    assert sends["barred"] == len(added)  # whoever has two
    assert sends["planned"] + sum(sends["withheld"].values()) + sends["no_room"] == len(daily) - len(added)


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        pytest.param({"image": "serving", "argv": ["false"]}, "Forecast failed", id="the model does not start"),
        pytest.param(
            {"image": "sending", "argv": ["false"], "match": "plan"},
            "Forecasts invalid",
            id="no plan is made",
        ),
        pytest.param(
            {
                "service": "sagemaker",
                "operation": "CreateTransformJob",
                "error": "ResourceLimitExceeded",
                "message": quota(0, in_use=0, usage="transform job"),
            },
            "Instance quota too low",
            id="the account has no instances",
        ),
    ],
)
def test_a_failed_run_leaves_the_published_table(
    stack: Stack, published: Execution, fault: dict[str, Any], end: str
) -> None:
    before = table(stack, "visit_forecasts", FORECAST)
    stack.order_fault(**fault, times=10)
    execution = stack.run_forecast(INPUT)
    assert (execution.status, execution.end_state) == ("FAILED", end)
    assert table(stack, "visit_forecasts", FORECAST) == before
