"""The forecast workflow from visits to tables and messages."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from deployed_stack import Execution, Production, Stack

from visitcast.schema import HOURS

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
        assert row["source"] in {"model", "mixed", "prior"}
    assert "model" in {row["source"] for row in rows}


def test_sends_keep_to_the_rules_and_go_to_the_queue_once_each(stack: Stack, published: Execution) -> None:
    plan = table(stack, "send_plans", "user_id, send_hour, idempotency_key, arm")
    assert plan
    assert all(7 <= int(row["send_hour"]) < 22 for row in plan)  # quiet hours by default: 22 to 7
    assert len({row["idempotency_key"] for row in plan}) == len(plan)
    attributes = boto3.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["PushQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    assert int(attributes["ApproximateNumberOfMessages"]) == len(plan)


def test_running_a_date_again_gives_the_same_table(stack: Stack, published: Execution) -> None:
    before = table(stack, "visit_forecasts", FORECAST), table(stack, "send_plans", "user_id, send_at_utc")
    again = stack.run_forecast(INPUT)
    assert again.status == "SUCCEEDED", again.cause
    assert (table(stack, "visit_forecasts", FORECAST), table(stack, "send_plans", "user_id, send_at_utc")) == before


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        pytest.param(
            {"image": "serving", "argv": ["false"]}, "Forecast failed", id="the model does not start"
        ),
        pytest.param(
            {"image": "sending", "argv": ["false"], "match": "plan"},
            "Forecasts not sound",
            id="no plan is made",
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
