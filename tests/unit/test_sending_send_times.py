from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visitcast.data.calendar import days_since_epoch
from visitcast.sending.send_times import NEVER, local_hours, unknown_zones

ZONES = [
    "Europe/Berlin",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Apia",
    "Pacific/Chatham",
    "America/Sao_Paulo",
]


def one(zone, day, hour, offset=0):
    hours = local_hours(days_since_epoch(day), np.array([offset], dtype=np.int16), np.array([zone], dtype=object))
    utc, local = hours.at(np.array([hour]))
    return (f"{iso(utc[0])}Z", iso(local[0])) if utc[0] != NEVER else None


def iso(minutes):
    return str(np.datetime64(int(minutes) * 60, "s"))


@pytest.mark.parametrize(
    ("zone", "day", "hour", "utc", "local"),
    [
        pytest.param(
            "Europe/Berlin", date(2026, 3, 29), 2, "2026-03-29T01:00:00Z", "2026-03-29T03:00:00", id="skipped"
        ),
        pytest.param("Europe/Berlin", date(2026, 3, 29), 3, "2026-03-29T01:00:00Z", "2026-03-29T03:00:00", id="after"),
        pytest.param("Europe/Berlin", date(2026, 10, 25), 2, "2026-10-25T00:00:00Z", "2026-10-25T02:00:00", id="twice"),
        pytest.param("Europe/Berlin", date(2026, 10, 25), 3, "2026-10-25T02:00:00Z", "2026-10-25T03:00:00", id="then"),
        pytest.param(
            "Africa/Cairo", date(2026, 4, 24), 0, "2026-04-23T22:00:00Z", "2026-04-24T01:00:00", id="midnight"
        ),
        pytest.param(
            "Asia/Kathmandu", date(2026, 11, 24), 18, "2026-11-24T12:15:00Z", "2026-11-24T18:00:00", id="5:45"
        ),
        pytest.param(
            "Australia/Lord_Howe",
            date(2026, 10, 4),
            2,
            "2026-10-03T15:30:00Z",
            "2026-10-04T02:30:00",
            id="half an hour",
        ),
        pytest.param(
            "Pacific/Kiritimati", date(2026, 11, 24), 1, "2026-11-23T11:00:00Z", "2026-11-24T01:00:00", id="+14"
        ),
        pytest.param("Etc/GMT+12", date(2026, 11, 24), 23, "2026-11-25T11:00:00Z", "2026-11-24T23:00:00", id="-12"),
        # The clocks of Toronto went from 23:59 to 00:30 of 1919-03-31: hour 0 of that date begins at half past.
        pytest.param(
            "America/Toronto", date(1919, 3, 31), 0, "1919-03-31T04:30:00Z", "1919-03-31T00:30:00", id="half past"
        ),
    ],
)
def test_clock_changes_and_odd_offsets(zone, day, hour, utc, local):
    assert one(zone, day, hour) == (utc, local)


def test_a_date_that_the_zone_leaves_out_has_no_hours():
    assert one("Pacific/Apia", date(2011, 12, 30), 12) is None


@pytest.mark.parametrize(
    ("offset", "utc"),
    [(330, "2026-11-24T03:30:00Z"), (-720, "2026-11-24T21:00:00Z"), (840, "2026-11-23T19:00:00Z")],
)
def test_without_a_zone_the_offset_holds(offset, utc):
    assert one(None, date(2026, 11, 24), 9, offset) == (utc, "2026-11-24T09:00:00")


def test_an_unknown_zone_counts_as_none_and_is_named():
    assert one("Mars/Olympus", date(2026, 11, 24), 9, 60) == one(None, date(2026, 11, 24), 9, 60)
    assert unknown_zones(np.array(["Mars/Olympus", "Europe/Berlin", None, "", float("nan")], dtype=object)) == [
        "Mars/Olympus"
    ]


def first_instant_by_search(zone, day, hour):
    """Walk through the date minute by minute: the first at or after the hour's beginning, else the last hour begun."""
    clock = ZoneInfo(zone)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=27)
    minutes = [start + timedelta(minutes=m) for m in range(54 * 60 + 24 * 60)]
    on_date = [(at, at.astimezone(clock)) for at in minutes if at.astimezone(clock).date() == day]
    reached = [(at, wall) for at, wall in on_date if wall.hour >= hour]
    return reached[0] if reached else None


@given(st.sampled_from(ZONES), st.dates(date(2008, 1, 1), date(2030, 12, 31)), st.integers(0, 23))
@settings(max_examples=60, deadline=None)
def test_the_hour_begins_where_a_walk_through_the_date_finds_it(zone, day, hour):
    found = first_instant_by_search(zone, day, hour)
    if found is None:
        assert one(zone, day, hour) is None
    else:
        at, wall = found
        assert one(zone, day, hour) == (f"{at:%Y-%m-%dT%H:%M:%S}Z", f"{wall:%Y-%m-%dT%H:%M:%S}")


@pytest.mark.parametrize("zone", ZONES)
def test_the_days_of_clock_changes_agree_with_the_walk(zone):
    clock = ZoneInfo(zone)
    noon = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=d) for d in range(365)]
    changes = [a for a, b in pairwise(noon) if a.astimezone(clock).utcoffset() != b.astimezone(clock).utcoffset()]
    for change in changes:
        day = change.astimezone(clock).date()
        for around in (day, day + timedelta(days=1)):
            for hour in (0, 1, 2, 3, 4):
                at, wall = first_instant_by_search(zone, around, hour)
                assert one(zone, around, hour) == (f"{at:%Y-%m-%dT%H:%M:%S}Z", f"{wall:%Y-%m-%dT%H:%M:%S}")


def test_users_share_tables():
    offsets = np.array([60, 60, 330, 0], dtype=np.int16)
    zones = np.array([None, "Europe/Berlin", "Europe/Berlin", None], dtype=object)
    hours = local_hours(days_since_epoch(date(2026, 10, 25)), offsets, zones)
    assert hours.utc.shape == (3, 24)
    assert hours.clock[1] == hours.clock[2]
    assert (np.diff(hours.utc[hours.clock[0]]) == 60).all()
