"""What the serving image answers, over HTTP."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forecast_requests import (
    LONGEST,
    VISIT_COLUMNS,
    VISITS,
    all_users,
    as_lines,
    assert_forecast,
    longest,
)
from made_visits import from_frame
from served_model import JSON, JSON_LINES, Server, running, user_request

from visitcast.data import schema
from visitcast.data.dataset import with_target_days
from visitcast.forecasting.forecaster import Forecast, forecast_last
from visitcast.model import bundle
from visitcast.serving import answers
from visitcast.serving.formats import Format


def test_ping(server: Server) -> None:
    assert server.ask("GET", "/ping").status == 200


@pytest.mark.parametrize("path", ["/", "/metrics", "/invocation"])
def test_there_is_nothing_else(server: Server, path: str) -> None:
    assert server.ask("GET", path).status == 404


def test_the_endpoint_answers_what_the_evaluation_would_have_scored(
    server: Server, expected: dict[str, dict[str, Any]]
) -> None:
    users = all_users()
    reply = server.post({"users": users})
    assert (reply.status, reply.media_type) == (200, JSON), reply.body
    assert reply.json["model"] == {
        "name": "visitcast",
        "schema_version": schema.SCHEMA_VERSION,
        "trained_at": "2026-11-23T12:00:00+00:00",
    }
    assert [forecast["user_id"] for forecast in reply.json["forecasts"]] == [user["user_id"] for user in users]
    for user, forecast in zip(users, reply.json["forecasts"], strict=True):
        assert_forecast(forecast, expected[user["user_id"]])
        assert forecast["date"] == user["date"]
        assert forecast["source"] == ("model" if len(user["visits"]) >= 3 else "prior")


@pytest.mark.parametrize("content_type", [JSON_LINES, "application/jsonl", "application/x-ndjson; charset=utf-8"])
def test_lines_give_the_forecasts_that_json_gives(server: Server, content_type: str) -> None:
    users = all_users()
    of_json = server.post({"users": users}).json
    lines = server.post(as_lines(users), content_type)
    assert (lines.status, lines.media_type) == (200, JSON_LINES), lines.body
    for line, forecast in zip(lines.body.splitlines(), of_json["forecasts"], strict=True):
        assert json.loads(line) == {**forecast, "model": of_json["model"]}


def test_visits_by_column_give_the_same_forecasts(server: Server) -> None:
    users = all_users()
    columns = [
        {**user, "visits": {name: [visit[name] for visit in user["visits"]] for name in VISIT_COLUMNS}}
        for user in users
    ]
    assert server.post({"users": columns}).body == server.post({"users": users}).body
    lines = server.post(as_lines([users[0], columns[1], columns[2]]), JSON_LINES).body
    assert lines == server.post(as_lines(users[:3]), JSON_LINES).body


def test_a_day_that_is_not_over_does_not_count_as_a_day_without_a_visit(server: Server, root: Path) -> None:
    user = longest()
    user["date"] = str(np.datetime64(user["date"], "D") + 3)
    midnight = np.datetime64(user["date"], "m")
    instant = midnight - np.timedelta64(8, "h")
    asked = [user, {**user, "as_of": f"{midnight}Z"}, {**user, "as_of": f"{instant}Z"}]
    default, eve, earlier = server.post({"users": asked}).json["forecasts"]
    assert default == eve
    history = from_frame(VISITS[VISITS[schema.USER_ID] == LONGEST])
    extended = with_target_days(history, np.datetime64(user["date"], "D").astype(np.int64).reshape(1))
    made = forecast_last(bundle.load(root / "model"), extended, instant.astype(np.int64).reshape(1))
    assert earlier["visit_probability"] == pytest.approx(float(made.visit_probability[0]), abs=1e-6)
    for name in ("first_visit_hour", "visit_hour"):
        assert earlier[name] == pytest.approx(getattr(made, name)[0].tolist(), abs=1e-6)
        assert earlier[name] != eve[name]  # The network is told that the day before is not over.
    assert earlier["visit_probability"] != eve["visit_probability"]


def test_a_new_user_gets_the_prior(server: Server) -> None:
    reply = server.post({"users": [user_request(VISITS.head(0), "new")]})
    (forecast,) = reply.json["forecasts"]
    assert forecast["source"] == "prior"
    assert forecast["visit_probability"] is None
    assert sum(forecast["first_visit_hour"]) == pytest.approx(1, abs=2e-5)


def test_the_order_of_visits_does_not_matter(server: Server) -> None:
    user = longest()
    shuffled = {
        **user,
        "visits": [user["visits"][i] for i in np.random.default_rng(0).permutation(len(user["visits"]))],
    }
    assert server.post({"users": [shuffled]}).body == server.post({"users": [user]}).body


def test_a_user_may_ask_twice(server: Server) -> None:
    user = longest()
    later = {**user, "date": "2027-01-01"}
    reply = server.post({"users": [user, later, user]})
    first, second, third = reply.json["forecasts"]
    assert first == third
    assert second["date"] == "2027-01-01"
    assert second["first_visit_hour"] != first["first_visit_hour"]


def test_10000_users_in_one_call(server: Server, expected: dict[str, dict[str, Any]]) -> None:
    """And whoever looks after the server's health meanwhile gets an answer."""
    users = [{**user, "visits": user["visits"][-1:]} for user in all_users()]
    many = [{**users[number % len(users)], "user_id": f"{number}"} for number in range(10_000)]
    for user in many[10:]:
        user["visits"] = []
    pings: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            pings.append(server.ask("GET", "/ping").status)

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        reply = server.post(json.dumps({"users": many}, separators=(",", ":")).encode())
        done.set()
        watching.result()
    assert reply.status == 200, reply.body[:500]
    assert len(reply.json["forecasts"]) == 10_000
    assert pings
    assert set(pings) == {200}


def test_a_batch_transform_may_send_more(root: Path) -> None:
    users = [{"user_id": f"{number:0100}", "date": "2026-11-24", "visits": []} for number in range(10_001)]
    with running(root, SAGEMAKER_BATCH="true", SAGEMAKER_MAX_PAYLOAD_IN_MB="1") as batch:
        assert batch.post(as_lines(users), JSON_LINES).status == 413
        assert batch.post(as_lines(users)[:1000], JSON_LINES).status == 400
    with running(root, SAGEMAKER_BATCH="true", SAGEMAKER_MAX_PAYLOAD_IN_MB="7") as batch:
        reply = batch.post(as_lines(users), JSON_LINES)
        assert reply.status == 200
        assert len(reply.body.splitlines()) == 10_001


def test_a_probability_that_is_no_number_is_never_answered() -> None:
    hours = np.full((1, 24), 1 / 24, dtype=np.float32)
    broken = hours.copy()
    broken[0, 3] = np.nan
    for first, visited in ((broken, hours), (hours, broken)):
        made = Forecast(first, visited, np.full(1, schema.MODEL), np.ones(1, dtype=np.float32))
        with pytest.raises(ValueError, match="not numbers"):
            answers.write(made, ["u"], [date(2026, 11, 24)], {}, Format.JSON)


@pytest.mark.parametrize("user_id", ["Zoë", "中文", "🙂", '"\\\u2028', "a\xa0b"])
def test_any_identifier_comes_back_as_it_was(server: Server, user_id: str) -> None:
    users = [{"user_id": user_id, "date": "2026-11-24", "visits": []}]
    assert server.post({"users": users}).json["forecasts"][0]["user_id"] == user_id
    lines = server.post(as_lines(users), JSON_LINES)
    assert json.loads(lines.body)["user_id"] == user_id
