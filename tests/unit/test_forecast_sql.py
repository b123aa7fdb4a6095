"""What the forecast workflow reads of users, against plain loops: visit days, the last published table, pushes."""

from __future__ import annotations

import zlib
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta

import pytest
from event_loops import CLOCK_CHANGES, Event, histories, visits_of
from forecast_queries import AS_OF, DAY, USERS, VISIT_DAYS, Known, Planned, Report, Run, forecasts_of, pairs_of
from hypothesis import given, settings
from hypothesis import strategies as st

from visitcast.data import schema
from visitcast.sending.zones import RECORD_DAYS


@given(events=histories((CLOCK_CHANGES[1], AS_OF, AS_OF - timedelta(days=5))))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize(
    ("kind", "day", "as_of"),
    [("schedule", DAY, AS_OF), ("a past date", date(2026, 11, 2), datetime(2026, 11, 5, tzinfo=UTC))],
)
def test_histories_are_the_last_visit_days_before_the_date_that_the_events_before_as_of_give(
    run: Run, events: list[Event], kind: str, day: date, as_of: datetime
) -> None:
    known = [event for event in events if event.event_time < as_of]
    expected = [visit for visit in visits_of(known) if visit["visit_date"] < f"{day}"]
    users = sorted({visit["user_id"] for visit in expected})
    last = [
        visit
        for user in users
        for back, visit in enumerate(reversed([visit for visit in expected if visit["user_id"] == user]))
        if back < VISIT_DAYS or is_on_record(date.fromisoformat(visit["visit_date"]), day)
    ]
    last.sort(key=lambda visit: (visit["user_id"], visit["visit_date"]))
    found = []
    for row in sorted(run("histories", events, kind=kind), key=lambda row: row["user_id"]):
        user = row.pop("user_id")
        assert row.pop("bucket") == zlib.crc32(user.encode()) % 64
        for values in zip(*row.values(), strict=True):
            visit = {"user_id": user, **dict(zip(row, values, strict=True))}
            found.append({**visit, "visit_date": f"{visit['visit_date']}"})
    assert found == [{name: visit[name] for name in schema.VISITS_COLUMNS} for visit in last]


def is_on_record(visited: date, day: date) -> bool:
    """Return whether a visit day is one a week, a Thursday, that tells the time zone."""
    return visited.weekday() == 3 and visited >= day - timedelta(days=RECORD_DAYS)


def test_of_many_visit_days_the_last_are_kept_and_one_a_week_for_a_year(run: Run) -> None:
    back = range(3, 800, 2)
    (found,) = run("histories", [Event("ann", AS_OF - timedelta(days=days), 0, 1, "ios") for days in back])
    dates = sorted((AS_OF - timedelta(days=days)).date() for days in back)
    assert found["visit_date"] == [when for when in dates if when in dates[-2:] or is_on_record(when, DAY)]
    assert 25 < len(found["visit_date"]) <= 32


def test_an_event_at_the_instant_is_not_known_yet(run: Run) -> None:
    at = [AS_OF - timedelta(milliseconds=1), AS_OF, AS_OF + timedelta(milliseconds=1)]
    (found,) = run("histories", [Event("ann", instant, -300, 1, "ios") for instant in at])
    assert found["total_page_views"] == [1]


KNOWN_DATES = [f"{DAY - timedelta(days=back)}" for back in (0, 1, 2, 29, 30, 31)]


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
