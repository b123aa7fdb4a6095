"""The queries of the forecast workflow against plain loops over events, forecasts and sends."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest
from event_loops import CLOCK_CHANGES, Event, histories, table_of, visits_of
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.athena_sql import on_duckdb
from functions.prepare_forecast import plan
from functions.shared.execution_input import load_schema, validated
from functions.shared.network import Network
from visitcast.data import schema

SQL = Path(__file__).parents[2] / "sql"
DAY = date(2026, 11, 3)
"""The forecast date, two days after New York's clocks went back."""
AS_OF = datetime(2026, 11, 2, 4, tzinfo=UTC)
CLOSED = date(2026, 10, 31)
"""The last date that is over west of all zones at `AS_OF`."""
VISIT_DAYS = 2
HOURS = 2
STANDING = "'run-1', 'run-2'"
"""What the workflow fills in of the list of plans that stand."""
Rows = list[dict[str, Any]]
Run = Callable[..., Rows]


class Known(NamedTuple):
    """A row of visit_forecasts."""

    dt: str
    user_id: str
    first_visit_hour: list[float]
    best_hour: int
    source: str
    platform: str
    utc_offset_minutes: int
    time_zone: str | None
    last_visit_date: date
    visit_probability: float | None


class Send(NamedTuple):
    """A row of send_plans."""

    dt: str
    user_id: str
    arm: str
    send_hour: int
    send_at_utc: datetime
    chance: float | None
    visit_probability: float | None


class Planned(NamedTuple):
    """A row of plans_by_run."""

    run: str
    user_id: str
    send_at_utc: datetime
    send_at_local: datetime


class Report(NamedTuple):
    """A row of push_reports."""

    status: str
    user_id: str


PLANNED = pa.schema(
    [
        ("run", pa.string()),
        ("user_id", pa.string()),
        ("send_at_utc", pa.timestamp("ms")),
        ("send_at_local", pa.timestamp("ms")),
    ]
)
REPORTS = pa.schema([("status", pa.string()), ("user_id", pa.string())])
FORECASTS = pa.schema(
    [
        ("dt", pa.string()),
        ("user_id", pa.string()),
        ("first_visit_hour", pa.list_(pa.float32())),
        ("best_hour", pa.int8()),
        ("source", pa.string()),
        ("platform", pa.string()),
        ("utc_offset_minutes", pa.int16()),
        ("time_zone", pa.string()),
        ("last_visit_date", pa.date32()),
        ("visit_probability", pa.float32()),
    ]
)
SENDS = pa.schema(
    [
        ("dt", pa.string()),
        ("user_id", pa.string()),
        ("arm", pa.string()),
        ("send_hour", pa.int8()),
        ("send_at_utc", pa.timestamp("ms")),
        ("chance", pa.float32()),
        ("visit_probability", pa.float32()),
    ]
)


def rendered(day: date, as_of: datetime, *names: str) -> dict[str, str]:
    """Queries of a run, translated."""
    given = validated(
        {
            "ForecastDate": f"{day}",
            "AsOf": f"{as_of:%Y-%m-%dT%H:%M:%SZ}",
            "Lift": {"ResponseHours": HOURS, "WindowDays": 5},
            "Campaign": {"MinimumGapHours": 5 * 24},
        },
        load_schema("forecast"),
        plan.contradictions,
    )
    run = plan.plan_forecast(
        given,
        execution_id="arn:aws:states:eu-central-1:123456789012:execution:a:b",
        started_at="2026-11-02T04:00:00Z",
        bucket="bucket",
        network=Network(),
    )
    return {
        query["Name"]: on_duckdb(query["Sql"].replace("{}", STANDING))
        for query in plan.render_queries(run, "app", SQL)
        if query["Name"] in names
    }


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "HISTORY_VISIT_DAYS", VISIT_DAYS)
        texts = {
            "schedule": rendered(DAY, AS_OF, *plan.QUERIES),
            "a past date": rendered(date(2026, 11, 2), datetime(2026, 11, 5, tzinfo=UTC), plan.HISTORIES),
        }

    def rows(
        query: str,
        events: list[Event],
        forecasts: Sequence[Known] = (),
        sends: Sequence[Send] = (),
        kind: str = "schedule",
        planned: Sequence[Planned] = (),
        reports: Sequence[Report] = (),
    ) -> Rows:
        listed = table_of(events).append_column("dt", [[f"{event.event_time:%Y-%m-%d}" for event in events]])
        tables = {
            "events": listed,
            "visit_forecasts": pa.Table.from_pylist([row._asdict() for row in forecasts], FORECASTS),
            "send_plans": pa.Table.from_pylist(
                [{**row._asdict(), "send_at_utc": row.send_at_utc.replace(tzinfo=None)} for row in sends], SENDS
            ),
            "plans_by_run": pa.Table.from_pylist([row._asdict() for row in planned], PLANNED),
            "push_reports": pa.Table.from_pylist([row._asdict() for row in reports], REPORTS),
        }
        for name, content in tables.items():
            connection.register("given", content)
            connection.execute(f"CREATE OR REPLACE TABLE app.{name} AS SELECT * FROM given")
        return connection.sql(texts[kind][query]).to_arrow_table().to_pylist()

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.create_function("crc32", lambda data: zlib.crc32(data), ["BLOB"], "BIGINT")
        connection.execute("CREATE SCHEMA app")
        yield rows


# --- what a forecast is made from ------------------------------------------------------------------------------------


@given(events=histories((CLOCK_CHANGES[1], AS_OF, AS_OF - timedelta(days=5))))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize(
    ("kind", "until", "as_of"),
    [
        ("schedule", DAY - timedelta(days=2), AS_OF),
        ("a past date", date(2026, 11, 1), datetime(2026, 11, 5, tzinfo=UTC)),
    ],
)
def test_histories_are_the_last_complete_visit_days_that_the_events_before_as_of_give(
    run: Run, events: list[Event], kind: str, until: date, as_of: datetime
) -> None:
    known = [event for event in events if event.event_time < as_of]
    expected = [visit for visit in visits_of(known) if visit["visit_date"] <= f"{until}"]
    users = sorted({visit["user_id"] for visit in expected})
    last = [v for user in users for v in [visit for visit in expected if visit["user_id"] == user][-VISIT_DAYS:]]
    found = []
    for row in sorted(run("histories", events, kind=kind), key=lambda row: row["user_id"]):
        user = row.pop("user_id")
        assert row.pop("bucket") == zlib.crc32(user.encode()) % 64
        for values in zip(*row.values(), strict=True):
            visit = {"user_id": user, **dict(zip(row, values, strict=True))}
            found.append({**visit, "visit_date": f"{visit['visit_date']}"})
    assert found == [{name: visit[name] for name in schema.VISITS_COLUMNS} for visit in last]


def test_of_many_visit_days_the_last_are_kept(run: Run) -> None:
    (found,) = run("histories", [Event("ann", AS_OF - timedelta(days=back), 0, 1, "ios") for back in (5, 20, 3, 9)])
    assert found["visit_date"] == [(AS_OF - timedelta(days=back)).date() for back in (5, 3)]


def test_an_event_at_the_instant_is_not_known_yet(run: Run) -> None:
    """At that instant it is still the day before in New York."""
    at = [AS_OF - timedelta(milliseconds=1), AS_OF, AS_OF + timedelta(milliseconds=1)]
    (found,) = run("histories", [Event("ann", instant, -300, 1, "ios") for instant in at])
    assert found["total_page_views"] == [1]


# --- users of the last table -----------------------------------------------------------------------------------------

USERS = st.sampled_from(["ann", "Bob", "Zoë"])
KNOWN_DATES = [f"{DAY - timedelta(days=back)}" for back in (0, 1, 2, 29, 30, 31)]


@st.composite
def pairs_of(draw: st.DrawFn, dates: list[str], smallest: int = 2) -> list[tuple[str, str]]:
    """Different pairs of a date and a user."""
    return draw(st.lists(st.tuples(st.sampled_from(dates), USERS), min_size=smallest, max_size=8, unique=True))


@st.composite
def forecasts_of(draw: st.DrawFn, pairs: list[tuple[str, str]]) -> list[Known]:
    """A forecast for each pair."""
    rows = []
    for dt, user in pairs:
        # Another probability for each hour, and none for one of them.
        turn = draw(st.integers(0, 23))
        rows.append(
            Known(
                dt,
                user,
                [(hour + turn) % 24 / 276 for hour in range(24)],
                draw(st.integers(0, 23)),
                draw(st.sampled_from(["model", "model", "prior"])),
                draw(st.sampled_from(["ios", "web"])),
                draw(st.sampled_from([-300, 0, 345])),
                draw(st.sampled_from([None, "Asia/Kathmandu"])),
                DAY - timedelta(days=draw(st.integers(1, 90))),
                draw(st.sampled_from([None, 0.0, 0.015625, 0.25, 0.5, 1.0])),
            )
        )
    return rows


@st.composite
def sends_of(
    draw: st.DrawFn, pairs: list[tuple[str, str]], instants: list[datetime], hours: Sequence[int] = range(24)
) -> list[Send]:
    """A send for each pair, at or near some instants."""
    rows = []
    near = [timedelta(0), timedelta(seconds=1), timedelta(hours=HOURS), timedelta(hours=HOURS, seconds=1)]
    for dt, user in pairs:
        at = draw(st.sampled_from(instants)) - draw(st.sampled_from([*near, -timedelta(seconds=1)]))
        p = draw(st.sampled_from([None, 0.25, 0.5, 1.0]))
        chance = None if p is None else p * draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
        arm = draw(st.sampled_from(["best_hour", "global_best_hour", "random_hour"]))
        rows.append(Send(dt, user, arm, draw(st.sampled_from(hours)), at.replace(microsecond=0), chance, p))
    return rows


@given(forecasts=pairs_of(KNOWN_DATES).flatmap(forecasts_of))
@settings(max_examples=50, deadline=None)
def test_known_users_are_those_of_the_last_table_before_the_date(run: Run, forecasts: list[Known]) -> None:
    dates = [row.dt for row in forecasts if f"{DAY - timedelta(days=30)}" <= row.dt < f"{DAY}"]
    names = ("user_id", "platform", "utc_offset_minutes", "time_zone", "last_visit_date")
    expected = [{name: getattr(row, name) for name in names} for row in forecasts if dates and row.dt == max(dates)]
    found = run("known_users", [Event("x", AS_OF, 0, 1, "ios")], forecasts)
    assert sorted(found, key=lambda row: str(row["user_id"])) == sorted(expected, key=lambda row: str(row["user_id"]))


# --- pushes around the date ------------------------------------------------------------------------------------------

NEAR = 7
"""Dates on either side that a gap of five days can concern, with the users' travels."""


@st.composite
def planned_pushes(draw: st.DrawFn) -> Planned:
    """A push on a date near or far, of a plan that stands or does not, at a local time of some zone."""
    day = DAY + timedelta(days=draw(st.integers(-NEAR - 2, NEAR + 2)))
    local = datetime.combine(day, time(draw(st.sampled_from([0, 12, 23])), draw(st.sampled_from([0, 30]))))
    offset = timedelta(minutes=draw(st.sampled_from([-720, -300, 0, 345, 840])))
    return Planned(draw(st.sampled_from(["run-1", "run-2", "run-3"])), draw(USERS), local - offset, local)


@given(
    planned=st.lists(planned_pushes(), max_size=12),
    reports=st.lists(st.builds(Report, st.sampled_from(["opened", "opted_out"]), USERS), max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_pushes_are_those_of_the_plans_that_stand(run: Run, planned: list[Planned], reports: list[Report]) -> None:
    minutes, days = defaultdict(list), defaultdict(list)
    for push in planned:
        if push.run != "run-3" and abs((push.send_at_local.date() - DAY).days) <= NEAR:
            minutes[push.user_id].append((push.send_at_utc - datetime(1970, 1, 1)) // timedelta(minutes=1))
            days[push.user_id].append((push.send_at_local.date() - date(1970, 1, 1)).days)
    opted_out = {report.user_id for report in reports if report.status == "opted_out"}
    found = {}
    for row in run("pushes", [Event("x", AS_OF, 0, 1, "ios")], planned=planned, reports=reports):
        lists = [sorted(map(int, (row[name] or "").split())) for name in ("pushed_at", "pushed_on")]
        found[row["user_id"]] = [*lists, row["opted_out"]]
    assert found == {
        user: [sorted(minutes[user]), sorted(days[user]), int(user in opted_out)] for user in {*minutes, *opted_out}
    }


# --- the dates that are over -----------------------------------------------------------------------------------------

OVER = [f"{CLOSED - timedelta(days=back)}" for back in (-1, 0, 1, 6, 7, 27, 28)]
NEAR_OVER = [
    CLOCK_CHANGES[1] - timedelta(days=1),
    *(datetime.combine(CLOSED - timedelta(days=back), time(12), UTC) for back in (1, 6, 7, 27)),
]


def visits_by_day(events: list[Event]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(visit["user_id"], visit["visit_date"]): visit for visit in visits_of(events)}


def closed(dt: str, days: int) -> bool:
    return f"{CLOSED - timedelta(days=days - 1)}" <= dt <= f"{CLOSED}"


@st.composite
def over(draw: st.DrawFn) -> tuple[list[Event], list[Known], list[Send]]:
    """Events, and forecasts and sends for every day with a visit and for some without."""
    events = draw(histories(NEAR_OVER))
    visits = visits_of(events)
    visited = [(visit["visit_date"], visit["user_id"]) for visit in visits]
    pairs = sorted({*visited, *draw(pairs_of(OVER, smallest=0))})
    hours = sorted({visit["first_visit_hour"] for visit in visits})
    return events, draw(forecasts_of(pairs)), draw(sends_of(pairs, [AS_OF], [*hours, 0]))


@given(given=over())
@settings(max_examples=50, deadline=None)
def test_outcomes_are_those_of_the_models_forecasts_of_a_week(
    run: Run, given: tuple[list[Event], list[Known], list[Send]]
) -> None:
    events, forecasts, _ = given
    visits = visits_by_day(events)
    losses, hits, users = [], [], set()
    for row in forecasts:
        visit = visits.get((row.user_id, row.dt))
        if visit is not None and row.source == "model" and closed(row.dt, 7):
            losses.append(-math.log(max(row.first_visit_hour[visit["first_visit_hour"]], 1e-12)))
            hits.append(visit["hourly_visits"] >> row.best_hour & 1)
            users.add(row.user_id)
    (found,) = run("outcomes", events, forecasts)
    assert (found["rows"], found["users"]) == (len(losses), len(users))
    assert found["log_loss"] == (pytest.approx(mean(losses), abs=1e-5) if losses else None)
    assert found["best_hour_hit_rate"] == (pytest.approx(mean(hits)) if hits else None)
    assert found["log_loss_deviation"] == (pytest.approx(stdev(losses), abs=1e-5) if len(losses) > 1 else None)


@given(given=over())
@settings(max_examples=50, deadline=None)
def test_realised_visits_are_counted_by_date_beside_those_expected(
    run: Run, given: tuple[list[Event], list[Known], list[Send]]
) -> None:
    events, forecasts, sends = given
    visits = visits_by_day(events)
    sums: dict[tuple[str, str, int | None], list[float]] = defaultdict(lambda: [0, 0.0, 0.0, 0])

    def add(key: tuple[str, str, int | None], chance: float, came: int) -> None:
        for position, value in enumerate((1, chance, chance * (1 - chance), came)):
            sums[key][position] += value

    for row in forecasts:
        if (p := row.visit_probability) is not None and closed(row.dt, 28):
            odds = max(p, 1e-6) / max(1 - p, 1e-6)
            add(("visitors", row.dt, math.floor(4 * math.log(odds))), p, (row.user_id, row.dt) in visits)
    for send in sends:
        if send.visit_probability is not None and send.chance is not None and closed(send.dt, 28):
            mask = visits.get((send.user_id, send.dt), {"hourly_visits": 0})["hourly_visits"]
            add(("sends", send.dt, None), send.chance, mask >> send.send_hour & 1)
    found = {}
    for one in run("realised_visits", events, forecasts, sends):
        key = one["outcome"], one["dt"], one["quarter_of_log_odds"]
        assert key not in found
        found[key] = [float(one[name]) for name in ("rows", "expected", "variance", "realised")]
    assert found == {key: pytest.approx(values) for key, values in sums.items()}


@pytest.mark.parametrize(
    ("days", "offset", "local_time"),
    [
        pytest.param(27, 840, time(0, 30), id="east, on the first"),
        pytest.param(0, -600, time(23, 30), id="west, on the last"),
    ],
)
def test_visits_whose_utc_date_lies_outside_the_window_count(
    run: Run, days: int, offset: int, local_time: time
) -> None:
    day = CLOSED - timedelta(days=days)
    event = Event("ann", datetime.combine(day, local_time, UTC) - timedelta(minutes=offset), offset, 1, "ios")
    chances = [1 / 24] * 24
    known = Known(f"{day}", "ann", chances, 0, "model", "ios", offset, None, day - timedelta(days=1), 0.5)
    send = Send(f"{day}", "ann", "best_hour", local_time.hour, AS_OF, 0.25, 0.5)
    found = run("realised_visits", [event], [known], [send])
    assert [(row["outcome"], row["realised"]) for row in found] == [("sends", 1), ("visitors", 1)]


# --- responses to earlier sends --------------------------------------------------------------------------------------

SENT = [f"{DAY - timedelta(days=back)}" for back in (-1, 0, 1, 3, 5, 6)]


@st.composite
def events_and_sends(draw: st.DrawFn) -> tuple[list[Event], list[Send]]:
    events = draw(histories((CLOCK_CHANGES[1], AS_OF - timedelta(hours=3))))
    return events, draw(sends_of(draw(pairs_of(SENT)), [AS_OF, *(event.event_time for event in events)]))


@given(given=events_and_sends())
@settings(max_examples=60, deadline=None)
def test_responses_are_visits_within_some_hours_of_a_send(run: Run, given: tuple[list[Event], list[Send]]) -> None:
    events, sends = given
    window = timedelta(hours=HOURS)
    read = [
        e for e in events if f"{DAY - timedelta(days=6)}" <= f"{e.event_time:%Y-%m-%d}" <= f"{DAY + timedelta(days=1)}"
    ]
    by_user: dict[tuple[str, str], list[bool]] = defaultdict(list)
    # A user has one send a date; two at one instant count once.
    for user, arm, at in {(send.user_id, send.arm, send.send_at_utc) for send in sends if in_lift(send)}:
        if at + window <= AS_OF:
            came = any(event.user_id == user and at <= event.event_time < at + window for event in read)
            by_user[arm, user].append(came)
    expected = []
    for arm in sorted({arm for arm, _ in by_user}):
        users = [answers for (of_arm, _), answers in by_user.items() if of_arm == arm]
        expected.append(
            {
                "arm": arm,
                "users": len(users),
                "sends": sum(len(answers) for answers in users),
                "responses": sum(sum(answers) for answers in users),
                "sends_squared": sum(len(answers) ** 2 for answers in users),
                "responses_squared": sum(sum(answers) ** 2 for answers in users),
                "sends_times_responses": sum(len(answers) * sum(answers) for answers in users),
            }
        )
    assert run("responses", events, sends=sends) == expected


def in_lift(send: Send) -> bool:
    return f"{DAY - timedelta(days=5)}" <= send.dt <= f"{DAY}"
