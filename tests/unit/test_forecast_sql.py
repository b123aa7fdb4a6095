"""What the forecast workflow reads of users, against plain loops: last visit days, and the last published table."""

from __future__ import annotations

import zlib
from datetime import UTC, date, datetime, timedelta

import pytest
from event_loops import CLOCK_CHANGES, Event, histories, visits_of
from forecast_queries import AS_OF, DAY, VISIT_DAYS, Known, Run, Send, forecasts_of, pairs_of, sends_of
from hypothesis import given, settings

from visitcast.data import schema


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


KNOWN_DATES = [f"{DAY - timedelta(days=back)}" for back in (0, 1, 2, 29, 30, 31)]


@given(
    forecasts=pairs_of(KNOWN_DATES).flatmap(forecasts_of),
    sends=pairs_of(KNOWN_DATES).flatmap(lambda pairs: sends_of(pairs, [AS_OF])),
)
@settings(max_examples=50, deadline=None)
def test_known_users_are_those_of_the_last_table_before_the_date(
    run: Run, forecasts: list[Known], sends: list[Send]
) -> None:
    dates = [row.dt for row in forecasts if f"{DAY - timedelta(days=30)}" <= row.dt < f"{DAY}"]
    expected = []
    for row in forecasts:
        if dates and row.dt == max(dates):
            pushes = [
                send.send_at_utc.replace(tzinfo=None)
                for send in sends
                if send.user_id == row.user_id and f"{DAY - timedelta(days=30)}" <= send.dt < f"{DAY}"
            ]
            expected.append(
                {
                    "user_id": row.user_id,
                    "platform": row.platform,
                    "utc_offset_minutes": row.utc_offset_minutes,
                    "time_zone": row.time_zone,
                    "last_visit_date": row.last_visit_date,
                    "last_push_at": max(pushes, default=None),
                }
            )
    found = run("known_users", [Event("x", AS_OF, 0, 1, "ios")], forecasts, sends)
    assert sorted(found, key=lambda row: str(row["user_id"])) == sorted(expected, key=lambda row: str(row["user_id"]))
