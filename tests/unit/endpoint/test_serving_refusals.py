"""What the serving image refuses, over HTTP, and that nobody else is harmed by it."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from forecast_requests import (
    LONGEST,
    VISIT_COLUMNS,
    VISITS,
    as_lines,
    assert_forecast,
    changed,
    longest,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from served_model import JSON, JSON_LINES, Server, user_request

from visitcast.data import schema
from visitcast.model import bundle
from visitcast.serving import scoring
from visitcast.serving.errors import RequestError
from visitcast.serving.formats import Format
from visitcast.serving.limits import Limits
from visitcast.serving.scoring import Answer, Question


def by_column(**changes: Any) -> bytes:
    """A request for `longest` with visits as arrays; a shorter array replaces the first values of its column."""
    user = longest()
    columns = {name: [visit[name] for visit in user["visits"]] for name in VISIT_COLUMNS}
    for name, values in changes.items():
        columns[name] = [*values, *columns.get(name, [])[len(values) :]] if isinstance(values, list) else values
    return json.dumps({"users": [{**user, "visits": columns}]}).encode()


def twice(body: bytes, key: str, nth: int = 0) -> bytes:
    """Repeat a key and its value, the n-th of its name."""
    text = body.decode()
    begin = [found.start() for found in re.finditer(f'"{key}":', text)][nth]
    _, end = json.JSONDecoder().raw_decode(text, begin + len(key) + len('"": '))
    return (text[:end] + ", " + text[begin:end] + text[end:]).encode()


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
    pytest.param(changed(user_id="u\0"), "users[0].user_id", id="a user with NUL"),
    pytest.param(changed(user_id="u\n"), "users[0].user_id", id="a user with a newline"),
    pytest.param(changed(user_id=" \u2028"), "users[0].user_id", id="a user of white space"),
    pytest.param(changed(visits="none"), "users[0].visits", id="no list of visits"),
    pytest.param(changed(shoe_size=1), "users[0].shoe_size", id="unknown key of a user"),
    pytest.param(changed(as_of="today"), "users[0].as_of", id="as of no instant"),
    pytest.param(changed(as_of=1_795_000_000), "users[0].as_of", id="as of a number"),
    pytest.param(changed(as_of="2026-11-23T16:00:00"), "users[0].as_of", id="as of an instant without a time zone"),
    pytest.param(by_column(first_visit_hour=[24]), "users[0].visits.first_visit_hour[0]", id="column: out of range"),
    pytest.param(by_column(platform=[None]), "users[0].visits.platform[0]", id="column: null"),
    pytest.param(by_column(visit_date=["soon"]), "users[0].visits.visit_date[0]", id="column: no date"),
    pytest.param(by_column(platform=["ios"] * 5000), "users[0].visits.platform", id="column: another length"),
    pytest.param(by_column(platform=["ios"] * 10_001), "users[0].visits.platform", id="column: too long"),
    pytest.param(by_column(platform="ios"), "users[0].visits.platform", id="column: no array"),
    pytest.param(by_column(shoe_size=[1]), "users[0].visits.shoe_size", id="column: unknown key"),
    pytest.param(
        by_column(total_page_views=[0]), "users[0].visits.total_page_views[0]", id="column: a visit of no page"
    ),
    pytest.param(changed(visits={}), "users[0].visits.visit_date", id="column: missing"),
    pytest.param(changed(visits=[1]), "users[0].visits[0]", id="a visit that is no object"),
    pytest.param(changed(visits=[{"shoe_size": 1}]), "users[0].visits[0]", id="unknown key of a visit"),
    pytest.param(changed(first_visit_hour=24), "users[0].visits[0].first_visit_hour", id="hour out of range"),
    *(
        pytest.param(changed(hourly_visits=value), "users[0].visits[0].hourly_visits", id=f"{value!r} for an integer")
        for value in (True, False, "1", "1_0", " 10 ", 1.0, 1e3, [1], {}, "")
    ),
    pytest.param(by_column(hourly_visits=[True]), "users[0].visits.hourly_visits[0]", id="column: a truth value"),
    pytest.param(changed(user_id=1), "users[0].user_id", id="a number for a user"),
    pytest.param(changed(platform=1), "users[0].visits[0].platform", id="a number for a platform"),
    pytest.param(twice(changed(), "users"), "users", id="users twice"),
    pytest.param(twice(changed(), "date"), "users[0].date", id="a user's key twice"),
    pytest.param(twice(changed(), "platform", 2), "users[0].visits[2].platform", id="a visit's key twice"),
    pytest.param(twice(by_column(), "platform"), "users[0].visits.platform", id="column: twice"),
    pytest.param(
        changed().replace(b'"date":', b'"d\\u0061te" : "2027-01-01", "date":'), "users[0].date", id="escaped key twice"
    ),
    pytest.param(changed(total_page_views="many"), "users[0].visits[0].total_page_views", id="wrong type"),
    pytest.param(changed(total_page_views=float("nan")), "users[0].visits[0].total_page_views", id="NaN"),
    pytest.param(changed(total_page_views=float("inf")), "users[0].visits[0].total_page_views", id="infinity"),
    pytest.param(changed(total_page_views=1e400), "users[0].visits[0].total_page_views", id="beyond a float"),
    pytest.param(changed(total_page_views=10**30), "users[0].visits[0].total_page_views", id="beyond 64 bits"),
    pytest.param(changed(hourly_visits=-(10**30)), "users[0].visits[0].hourly_visits", id="below 64 bits"),
    pytest.param(by_column(utc_offset_minutes=[841]), "users[0].visits.utc_offset_minutes[0]", id="column: no offset"),
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
        pytest.param(
            JSON_LINES, b"\n" + as_lines([longest()]) * 2 + as_lines([{**longest(), "x": 1}]), "line 4: x", id="a key"
        ),
        pytest.param(
            JSON_LINES, as_lines([longest()]) + twice(as_lines([longest()]), "date"), "line 2: date", id="a key twice"
        ),
        pytest.param(JSON_LINES, b'\n{"date": "2026-11-24", "visits": []}', "line 2: user_id", id="a missing key"),
    ],
)
def test_a_bad_line_is_refused_by_number(server: Server, content_type: str, body: bytes, field: str) -> None:
    reply = server.post(body, content_type)
    assert reply.status == 400, reply.body
    assert reply.json["error"]["field"].startswith(field)


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "text/csv", "json"])
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


@pytest.mark.parametrize("reason", ["known key", "appears twice"])
def test_the_reason_of_a_refused_key_says_what_is_wrong(server: Server, reason: str) -> None:
    body = twice(changed(), "date") if reason == "appears twice" else changed(shoe_size=1)
    assert reason in server.post(body).json["error"]["reason"]


@pytest.mark.parametrize("user_id", ["a:b", '":', "a :b", "[" * 256, "{" * 256, ":" * 256, '\\":"date":', "user_id"])
def test_an_identifier_may_look_like_json(server: Server, user_id: str) -> None:
    users = [longest(user_id=user_id), *({"user_id": user_id, "date": "2026-11-24", "visits": []},) * 200]
    for text in (json.dumps({"users": users}), json.dumps({"users": users}, indent=1, separators=(",", " : "))):
        reply = server.post(text.encode())
        assert reply.status == 200, reply.body
    assert server.post(as_lines(users), JSON_LINES).status == 200


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
                    "as_of": st.datetimes().map(str) | st.just("2026-11-20T16:00:00Z"),
                    "visits": st.dictionaries(st.sampled_from(VISIT_COLUMNS), st.lists(VISIT_VALUES, max_size=2))
                    | st.lists(
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
    content_type=st.sampled_from([JSON, JSON, JSON, JSON_LINES, "text/plain"]),
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


def test_requests_computed_together_are_refused_in_their_own_words(root: Path) -> None:
    good, empty, broken, contradicting = (
        changed(),
        b"{}",
        b"{",
        json.dumps({"users": [longest(), longest(date="2000-01-01")]}).encode(),
    )
    questions = [Question(body, Format.JSON) for body in (contradicting, good, broken, good, empty)]
    refused, first, no_json, second, no_users = scoring.answer(bundle.load(root / "model"), Limits(), questions)
    assert isinstance(refused, RequestError)
    assert refused.field == "users[1].date"
    assert isinstance(no_json, RequestError)
    assert isinstance(no_users, RequestError)
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert first.body == second.body
