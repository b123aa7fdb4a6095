"""What the forecast workflow makes of the days after its sends: drift, outcomes, lift."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import boto3
import pyarrow as pa
import pytest
from deployed_stack import Execution, Production, Stack

from demo.lift import lift_sql, measure_lift
from demo.upload import partition_files
from functions.prepare_forecast.plan import contradictions
from functions.shared.execution_input import load_schema, validated
from visitcast.data import schema

DATE = date(2026, 11, 12)
"""No other test forecasts this date."""
JUDGED = DATE + timedelta(days=3)
"""A run for this date judges the forecasts of DATE, the last one that is over everywhere."""
COUNTS = ("users", "sends", "outcomes", "pushes")
"""What responses.sql counts in each arm and third."""


def run(stack: Stack, day: date, **changes: Any) -> Execution:
    return stack.run_forecast({"ForecastDate": f"{day}", "AsOf": f"{day}T00:00:00Z", "HandOver": False} | changes)


@pytest.fixture(scope="module")
def published(stack: Stack, production: Production) -> Execution:
    assert production.execution.status == "SUCCEEDED", production.execution.cause
    execution = run(stack, DATE, HandOver=True, Campaign={"Name": "outcomes", "Control": {"NoPushShare": 0.5}})
    assert execution.status == "SUCCEEDED", f"{execution.end_state}: {execution.cause}"
    # Other tests count the messages of their own run.
    boto3.client("sqs").purge_queue(QueueUrl=stack.outputs["PushQueueUrl"])
    return execution


@contextmanager
def added(stack: Stack, files: dict[str, bytes]) -> Iterator[None]:
    """Put objects into the bucket for a while."""
    for key, body in files.items():
        stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=body)
    try:
        yield
    finally:
        for key in files:
            stack.s3.delete_object(Bucket=stack.bucket, Key=key)


def visits(rows: list[dict[str, str]], times: list[datetime]) -> dict[str, bytes]:
    """Make files of events, one event for each row's user."""
    events = pa.table(
        {
            schema.USER_ID: pa.array([row["user_id"] for row in rows]),
            schema.EVENT_TIME: pa.array(times, pa.timestamp("ms", tz="UTC")),
            schema.UTC_OFFSET_MINUTES: pa.array([int(row["utc_offset_minutes"]) for row in rows], pa.int16()),
            schema.PAGE_TYPE: pa.array([1] * len(rows), pa.int8()),
            schema.PLATFORM: pa.array(["web"] * len(rows)),
        }
    )
    return dict(partition_files(events))


def shifted_profile(stack: Stack, published: Execution, day: date) -> dict[str, bytes]:
    """Make the profile of four weeks before, when everyone had another platform."""
    profile = stack.read_json(f"{published.output['run']['Uris']['Report']}/profile.json")
    name = "input: platform"
    profile[name] = [0, 0, 0, sum(profile[name])]
    return {f"forecasts/profiles/dt={day - timedelta(weeks=4)}.json": json.dumps(profile).encode()}


def metric(name: str) -> float:
    """Return the largest value of a metric in the last minutes."""
    now = datetime.now(UTC)
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="visitcast",
        MetricName=name,
        Dimensions=[{"Name": "Environment", "Value": "local"}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=600,
        Statistics=["Maximum"],
    )["Datapoints"]
    return max(float(point["Maximum"]) for point in points)


def test_drifted_forecasts_are_not_published_where_the_input_says_so(stack: Stack, published: Execution) -> None:
    day = DATE + timedelta(days=8)
    with added(stack, shifted_profile(stack, published, day)):
        execution = run(stack, day, OnDrift="stop", Campaign={"Drift": {"MinimumRows": 5}})
    assert (execution.status, execution.end_state) == ("FAILED", "Forecasts drifted")
    assert "platform has shifted" in execution.cause
    assert "Publish metrics" in execution.states  # so that the alarm rings all the same
    assert stack.query(f"SELECT user_id FROM visit_forecasts WHERE dt = '{day}'") == []
    assert f"forecasts/profiles/dt={day}.json" not in stack.keys("forecasts/profiles/")


def test_a_day_later_outcomes_are_judged_and_drift_starts_the_training(stack: Stack, published: Execution) -> None:
    rows = stack.query(
        "SELECT forecast.user_id, utc_offset_minutes, forecast.source, best_hour, withheld, "
        "element_at(first_visit_hour, 4) AS chance FROM visit_forecasts AS forecast "
        "JOIN sends ON sends.user_id = forecast.user_id AND sends.dt = forecast.dt "
        f"WHERE forecast.dt = '{DATE}' AND sends.campaign = 'outcomes'"
    )
    three = datetime(DATE.year, DATE.month, DATE.day, 3, 30, tzinfo=UTC)
    times = [three - timedelta(minutes=int(row["utc_offset_minutes"])) for row in rows]
    with added(stack, visits(rows, times) | shifted_profile(stack, published, JUDGED)):
        execution = run(stack, JUDGED, OnDrift="train", Campaign={"Drift": {"MinimumRows": 5}})
    assert execution.status == "SUCCEEDED", f"{execution.end_state}: {execution.cause}"

    drift = execution.output["planned"]["report"]["drift"]
    # Of those who got a push nobody knows what they would have done without it.
    by_model = [row for row in rows if row["source"] == "model" and row["withheld"] == "no_push"]
    assert len(by_model) > 5
    assert drift["realised"]["rows"] == len(by_model)
    losses = [-math.log(float(row["chance"])) for row in by_model]
    assert drift["realised"]["log_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    hits = [int(row["best_hour"]) == 3 for row in by_model]
    assert drift["realised"]["best_hour_hit_rate"] == pytest.approx(sum(hits) / len(hits))
    assert any("input: platform has shifted" in reason for reason in drift["reasons"])
    assert any("realised log loss" in reason for reason in drift["reasons"])

    assert metric("drift_limits_passed") >= len(drift["reasons"])
    assert metric("drift_largest_psi") >= max(drift["psi"]["four weeks ago"].values()) - 1e-6
    assert metric("realised_log_loss") == pytest.approx(drift["realised"]["log_loss"], rel=1e-6)

    training = execution.output["training"]["ExecutionArn"]
    assert ":execution:visitcast-train-local:drift-" in training
    stack.step_functions.stop_execution(executionArn=training)
    assert stack.finish(training).status == "ABORTED"


def test_the_alarm_watches_the_metric_that_the_workflow_publishes(stack: Stack, published: Execution) -> None:
    cloudwatch = boto3.client("cloudwatch")
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    (alarm,) = [alarm for alarm in alarms if alarm.get("MetricName") == "drift_limits_passed"]
    assert alarm["AlarmActions"] == [stack.outputs["AlarmTopicArn"]]
    known = cloudwatch.list_metrics(Namespace=alarm["Namespace"], MetricName=alarm["MetricName"])["Metrics"]
    assert alarm["Dimensions"] in [metric["Dimensions"] for metric in known]


def test_lift_counts_the_visits_of_those_who_were_handed_over(stack: Stack, published: Execution) -> None:
    sends = stack.query(
        "SELECT sends.user_id, sends.arm, sends.send_at_utc, sends.withheld, forecast.utc_offset_minutes FROM sends "
        "JOIN visit_forecasts AS forecast ON forecast.user_id = sends.user_id AND forecast.dt = sends.dt "
        f"WHERE sends.dt = '{DATE}' AND sends.campaign = 'outcomes' ORDER BY sends.user_id"
    )
    assert sends
    soon, later = sends[::3], sends[1::3]  # the others stay away
    at = {row["user_id"]: datetime.fromisoformat(row["send_at_utc"]).replace(tzinfo=UTC) for row in sends}
    times = [at[row["user_id"]] + timedelta(minutes=30) for row in soon]
    too_late = [at[row["user_id"]] + timedelta(hours=2) for row in later]
    section = published.output["run"]["Lift"]
    as_of = datetime.combine(JUDGED, time(), UTC)
    with added(stack, visits(soon + later, times + too_late)):
        rows = stack.query(lift_sql(stack.outputs["DatabaseName"], section, DATE, as_of))
        measured = measure_lift(stack.outputs, section, DATE, as_of)
    sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        sums[row["arm"], row["outcome"]].update({name: int(row[name]) for name in COUNTS})
    came = {"hit": soon, "visited_24_hours": soon + later, "visited_date": soon + later, "opened": []}
    for arm in {row["arm"] for row in sends}:
        of_arm = [row for row in sends if row["arm"] == arm]
        for outcome, found in came.items():
            of_outcome = sums[arm, outcome]
            assert of_outcome["users"] == of_outcome["sends"] == len(of_arm)
            assert of_outcome["outcomes"] == sum(row["arm"] == arm for row in found), (arm, outcome)
            assert of_outcome["pushes"] == sum(not row["withheld"] for row in of_arm)
    assert {row["arm"]: row["users"] for row in measured["Arms"]} == Counter(row["arm"] for row in sends)
    # Sixty users are no sample, and the report says so instead of giving a figure.
    assert {lift["verdict"] for lift in measured["Lifts"]} == {"sample too small"}
    assert all(lift["relative"] is None and lift["reason"] for lift in measured["Lifts"])
    assert sum(third["users"] + third["control_users"] for third in measured["Thirds"]) == sum(
        row["arm"] in ("best_hour", "no_push") for row in sends
    )


def test_the_schedule_gives_an_input_that_the_workflow_takes(stack: Stack) -> None:
    target = boto3.client("scheduler").get_schedule(Name="visitcast-forecast-local")["Target"]
    assert target["Arn"] == f"{stack.outputs['ForecastStateMachineArn']}:live"
    given = json.loads(target["Input"])
    # By default nobody reads the queue: what lay there would ring PushesWait every day.
    assert given == {"OnDrift": "alarm", "HandOver": False, "Campaign": {}}
    validated(given, load_schema("forecast"), contradictions)
