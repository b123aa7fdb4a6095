"""The serving image through its entry point, over HTTP."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import made_frame
from served_model import CONTAINERS, CSV, JSON, JSON_LINES, Server, running, user_request

from benchmarks.random_model import write_model
from visitcast import schema
from visitcast.dataset import from_frame, with_target_days
from visitcast.forecasting import bundle, forecaster

VISITS = made_frame(users=60, mean_days=40, seed=5)
VISIT_COLUMNS = schema.VISITS_COLUMNS[1:]  # those of a visit in a request: all but the user
LONGEST = VISITS[schema.USER_ID].value_counts().index[0]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("endpoint")
    write_model(folder / "model", from_frame(VISITS))
    return folder


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with running(root) as served:
        yield served


@pytest.fixture(scope="module")
def expected(root: Path) -> dict[str, dict[str, Any]]:
    """What the evaluation would have scored, by user."""
    dataset = from_frame(VISITS)
    extended = with_target_days(dataset, dataset.visit_date[dataset.offsets[1:] - 1] + 1)
    made = forecaster.forecast(bundle.load(root / "model"), extended, extended.offsets[1:] - 1)
    return {
        user: {"first_visit_hour": made.first_visit_hour[number], "visit_hour": made.visit_hour[number]}
        for number, user in enumerate(dataset.user_ids.tolist())
    }


def all_users() -> list[dict[str, Any]]:
    return [user_request(history, str(user)) for user, history in VISITS.groupby(schema.USER_ID)]


def longest(**changes: Any) -> dict[str, Any]:
    user = user_request(VISITS[VISITS[schema.USER_ID] == LONGEST], "a")
    user["visits"][0] |= {name: value for name, value in changes.items() if name in VISIT_COLUMNS}
    return user | {name: value for name, value in changes.items() if name not in VISIT_COLUMNS}


def changed(**changes: Any) -> bytes:
    return json.dumps({"users": [longest(**changes)]}).encode()


def as_lines(users: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(user) + "\n" for user in users).encode()


def as_csv(users: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*schema.VISITS_COLUMNS, "date"])
    writer.writeheader()
    for user in users:
        for visit in user["visits"] or [{}]:
            writer.writerow({"user_id": user["user_id"], "date": user["date"], **visit})
    return text.getvalue().encode()


def assert_forecast(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in ("first_visit_hour", "visit_hour"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    assert found["best_hour"] == int(np.argmax(found["visit_hour"]))
    assert found["confidence"] == max(found["visit_hour"])
    assert sum(found["first_visit_hour"]) == pytest.approx(1, abs=2e-5)


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


@pytest.mark.parametrize(
    ("content_type", "write"), [pytest.param(JSON_LINES, as_lines, id="lines"), pytest.param(CSV, as_csv, id="csv")]
)
def test_lines_and_csv_give_the_forecasts_that_json_gives(server: Server, content_type: str, write: Any) -> None:
    users = all_users()
    of_json = server.post({"users": users}).json
    lines = server.post(write(users), content_type, Accept=JSON_LINES)
    assert (lines.status, lines.media_type) == (200, JSON_LINES), lines.body
    for line, forecast in zip(lines.body.splitlines(), of_json["forecasts"], strict=True):
        assert json.loads(line) == {**forecast, "model": of_json["model"]}

    table = server.post(write(users), content_type, Accept=CSV)
    assert (table.status, table.media_type) == (200, CSV), table.body
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    for row, forecast in zip(rows, of_json["forecasts"], strict=True):
        assert row["user_id"] == forecast["user_id"]
        assert [float(row[f"visit_hour_{hour}"]) for hour in range(24)] == forecast["visit_hour"]
        assert [float(row[f"first_visit_hour_{hour}"]) for hour in range(24)] == forecast["first_visit_hour"]
        assert int(row["best_hour"]) == forecast["best_hour"]
        assert row["model_trained_at"] == of_json["model"]["trained_at"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        pytest.param("", JSON_LINES, id="none"),
        pytest.param("*/*", JSON_LINES, id="any"),
        pytest.param("application/x-ndjson", JSON_LINES, id="other name"),
        pytest.param("image/png, text/csv;q=0.5, application/json;q=0.9", JSON, id="by preference"),
        pytest.param("application/json;q=0, */*", JSON_LINES, id="not wanted"),
    ],
)
def test_accept_chooses_the_format_of_the_answer(server: Server, accept: str, media_type: str) -> None:
    reply = server.post(as_lines([longest()]), JSON_LINES, Accept=accept)
    assert (reply.status, reply.media_type) == (200, media_type)


def test_an_answer_that_cannot_be_given_as_wanted_is_refused(server: Server) -> None:
    assert server.post(changed(), Accept="image/png").status == 406


def test_a_new_user_gets_the_prior(server: Server) -> None:
    reply = server.post({"users": [user_request(VISITS.head(0), "new")]})
    (forecast,) = reply.json["forecasts"]
    assert forecast["source"] == "prior"
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


def test_numbers_may_come_as_text(server: Server) -> None:
    user = longest()
    text = {**user, "visits": [{name: str(value) for name, value in visit.items()} for visit in user["visits"]]}
    assert server.post({"users": [text]}).body == server.post({"users": [user]}).body


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


REFUSED = [
    pytest.param(b"", "body", id="empty"),
    pytest.param(b"{", "body", id="no JSON"),
    pytest.param(b"[]", "body", id="a list"),
    pytest.param(b"\xff\xfe", "body", id="not UTF-8"),
    pytest.param(b"[" * 100_000, "body", id="deep nesting"),
    pytest.param(b'{"users":' + b'{"users":' * 100_000, "body", id="deep nesting of objects"),
    pytest.param(b'{"users": []}', "users", id="no users"),
    pytest.param(b'{"users": NaN}', "users", id="NaN for users"),
    pytest.param(json.dumps({"users": [longest()], "user": 1}).encode(), "user", id="unknown key"),
    pytest.param(changed(date="tomorrow"), "users[0].date", id="no date"),
    pytest.param(changed(date=20_000), "users[0].date", id="a number for a date"),
    pytest.param(changed(date="2026-11-31"), "users[0].date", id="no such day"),
    pytest.param(changed(date="2001-01-01"), "users[0].date", id="date before the last visit"),
    pytest.param(changed(user_id=""), "users[0].user_id", id="empty user"),
    pytest.param(changed(user_id="u" * 257), "users[0].user_id", id="long user"),
    pytest.param(changed(visits="none"), "users[0].visits", id="no list of visits"),
    pytest.param(changed(shoe_size=1), "users[0].shoe_size", id="unknown key of a user"),
    pytest.param(changed(visits=[{"shoe_size": 1}]), "users[0].visits[0]", id="unknown key of a visit"),
    pytest.param(changed(first_visit_hour=24), "users[0].visits[0].first_visit_hour", id="hour out of range"),
    pytest.param(changed(total_page_views="many"), "users[0].visits[0].total_page_views", id="wrong type"),
    pytest.param(changed(total_page_views=float("nan")), "users[0].visits[0].total_page_views", id="NaN"),
    pytest.param(changed(total_page_views=float("inf")), "users[0].visits[0].total_page_views", id="infinity"),
    pytest.param(changed(total_page_views=1e400), "users[0].visits[0].total_page_views", id="beyond a float"),
    pytest.param(changed(total_page_views=10**30), "users[0].visits[0].total_page_views", id="beyond 64 bits"),
    pytest.param(changed(total_page_views=9_999_999), "users[0].visits[0].total_page_views", id="wrong sum"),
    pytest.param(changed(hourly_visits=1.5), "users[0].visits[0].hourly_visits", id="fraction"),
    pytest.param(changed(platform=None), "users[0].visits[0].platform", id="null"),
    pytest.param(changed(platform=" "), "users[0].visits[0].platform", id="blank"),
    pytest.param(
        changed(hourly_visits=1, first_visit_hour=5, last_visit_hour=5), "users[0].visits[0].hourly_visits", id="mask"
    ),
    pytest.param(
        changed(visit_date=longest()["visits"][1]["visit_date"]), "users[0].visits[1].visit_date", id="a day twice"
    ),
]


@pytest.mark.parametrize(("body", "field"), REFUSED)
def test_a_bad_request_is_refused_by_field(server: Server, body: bytes, field: str) -> None:
    reply = server.post(body)
    assert reply.status == 400, reply.body
    assert reply.json["error"]["field"] == field or reply.json["error"]["field"].startswith(f"{field}.")
    assert reply.json["error"]["reason"]


@pytest.mark.parametrize(
    ("content_type", "body", "field"),
    [
        pytest.param(JSON_LINES, b"\n\n", "body", id="no line"),
        pytest.param(JSON_LINES, as_lines([longest()]) + b"{", "line 2: body", id="broken line"),
        pytest.param(JSON_LINES, as_lines([longest(), longest(date="2001-01-01")]), "line 2: date", id="early date"),
        pytest.param(
            JSON_LINES,
            b"\n" + as_lines([longest(first_visit_hour=-1)]),
            "line 2: visits[0].first_visit_hour",
            id="value of a line",
        ),
        pytest.param(CSV, b"", "line 1", id="no header"),
        pytest.param(CSV, b"user_id,date\na,2026-11-24\n", "line 1", id="other columns"),
        pytest.param(CSV, as_csv([longest()])[:-20], "line", id="cut off"),
        pytest.param(CSV, as_csv([longest(), longest(user_id="b", platform="")]), "line", id="missing value"),
        pytest.param(CSV, as_csv([longest(hourly_visits="x")]), "line 2: hourly_visits", id="value of a row"),
        pytest.param(CSV, as_csv([longest(total_page_views=77)]), "line 2: total_page_views", id="wrong sum"),
        pytest.param(CSV, as_csv([longest(date="1999-12-31")]), "line 2: date", id="early date in CSV"),
        pytest.param(CSV, b"\xff", "body", id="not UTF-8"),
    ],
)
def test_a_bad_line_is_refused_by_number(server: Server, content_type: str, body: bytes, field: str) -> None:
    reply = server.post(body, content_type)
    assert reply.status == 400, reply.body
    assert reply.json["error"]["field"].startswith(field)


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "application/x-npy", "json"])
def test_another_media_type_is_refused(server: Server, content_type: str) -> None:
    reply = server.post(changed(), content_type)
    assert reply.status == 415
    assert reply.json["error"]["field"] == "Content-Type"


def test_a_body_beyond_sagemakers_limit_is_refused(server: Server) -> None:
    assert server.post(b" " * (6 * 1024 * 1024 + 1)).status == 413
    assert server.post(b" " * (6 * 1024 * 1024)).status == 400


def test_too_many_users_are_refused(server: Server) -> None:
    users = [{"user_id": "a", "date": "2026-11-24", "visits": []}] * 10_001
    assert server.post({"users": users}).status == 413


def test_a_batch_transform_may_send_more(root: Path) -> None:
    users = [{"user_id": f"{number:0100}", "date": "2026-11-24", "visits": []} for number in range(10_001)]
    with running(root, SAGEMAKER_BATCH="true", SAGEMAKER_MAX_PAYLOAD_IN_MB="1") as batch:
        assert batch.post(as_lines(users), JSON_LINES).status == 413
        assert batch.post(as_lines(users)[:1000], JSON_LINES).status == 400
    with running(root, SAGEMAKER_BATCH="true", SAGEMAKER_MAX_PAYLOAD_IN_MB="7") as batch:
        reply = batch.post(as_lines(users), JSON_LINES)
        assert reply.status == 200
        assert len(reply.body.splitlines()) == 10_001


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["users", "user_id", "date", "visits"]), inner),
    max_leaves=20,
)
VISIT_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2026-11-01")
ALMOST_RIGHT = st.fixed_dictionaries(
    {
        "users": st.lists(
            st.fixed_dictionaries(
                {
                    "user_id": st.text(max_size=3) | st.just("a"),
                    "date": st.dates().map(str) | st.just("2026-11-24"),
                    "visits": st.lists(
                        st.dictionaries(st.sampled_from(VISIT_COLUMNS), VISIT_VALUES).map(
                            lambda change: {**longest()["visits"][0], **change}
                        ),
                        max_size=4,
                    ),
                }
            ),
            max_size=3,
        )
    }
)


@given(
    body=(ANY_JSON | ALMOST_RIGHT).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50),
    content_type=st.sampled_from([JSON, JSON, JSON, JSON_LINES, CSV, "text/plain"]),
)
@settings(max_examples=100, deadline=None)
def test_whatever_comes_is_answered_or_refused_and_harms_nobody(
    server: Server, expected: dict[str, dict[str, Any]], body: bytes, content_type: str
) -> None:
    user = user_request(VISITS[VISITS[schema.USER_ID] == LONGEST], LONGEST)
    with ThreadPoolExecutor(2) as pool:
        bad, good = pool.submit(server.post, body, content_type), pool.submit(server.post, {"users": [user]})
    assert bad.result().status in (200, 400, 413, 415)
    if bad.result().status != 200:
        assert set(bad.result().json["error"]) == {"field", "reason"}
    assert good.result().status == 200
    assert_forecast(good.result().json["forecasts"][0], expected[LONGEST])


def test_sigterm_lets_requests_in_flight_finish(root: Path) -> None:
    users = [{**user, "user_id": f"{number}"} for number, user in enumerate(all_users())]
    body = json.dumps({"users": users * 4}).encode()
    with running(root) as served, ThreadPoolExecutor(1) as pool:
        connection_made = pool.submit(served.post, body)
        # The server is at work once somebody else's later request has been answered.
        assert served.post(changed()).status == 200
        code, err = served.stop()
        assert connection_made.result().status == 200
    assert (code, err) == (143, "stopped by SIGTERM\n")


def test_every_invocation_is_a_line_with_metrics(root: Path) -> None:
    with running(root) as served:
        served.ask("GET", "/ping")
        served.post({"users": [longest(), user_request(VISITS.head(0), "new")]})
        served.post(b"{")
        good, bad = served.next_event("invocation"), served.next_event("invocation")
    for event in (good, bad):
        (directive,) = event["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "visitcast"
        assert {metric["Name"] for metric in directive["Metrics"]} <= set(event)
        assert set(directive["Dimensions"][0]) <= set(event)
        assert event["Latency"] > 0
    assert (good["status"], good["Users"], good["PriorUsers"], good["Errors"]) == (200, 2, 1, 0)
    assert (bad["status"], bad["field"], bad["Errors"]) == (400, "body", 1)


def test_an_endpoint_without_a_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(AssertionError, match="This folder holds no model"):
        Server(tmp_path)
    assert "holds no model" in (tmp_path / "output/failure").read_text()


def test_the_server_needs_neither_tensorflow_nor_scikit_learn_nor_pandas() -> None:
    code = "import serving.server, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=CONTAINERS, capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "keras", "sklearn", "scipy", "pandas", "pyarrow", "joblib", "training", "preprocessing"}
    assert not heavy & set(loaded.stdout.split())
