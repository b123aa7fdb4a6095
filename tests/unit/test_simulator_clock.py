"""Local days of the simulated zones, judged by zoneinfo hour by hour."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.simulator.clock import SLOT_SECONDS, make_clock
from demo.simulator.habits import ZONES


def day_of(zone: str, day: date) -> list[int]:
    clock = make_clock((zone,), day - timedelta(days=2), 5)
    hours = clock.hour[0, 2]
    assert clock.slots[0, 2] == (hours >= 0).sum()
    return [int(h) for h in hours if h >= 0]


PLAIN = list(range(24))


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        pytest.param("Europe/Berlin", date(2026, 3, 29), [h for h in PLAIN if h != 2], id="spring: no hour 2"),
        pytest.param("Europe/Berlin", date(2026, 10, 25), sorted([*PLAIN, 2]), id="autumn: hour 2 twice"),
        pytest.param("America/New_York", date(2026, 11, 1), sorted([*PLAIN, 1]), id="autumn: hour 1 twice"),
        pytest.param("Africa/Cairo", date(2026, 4, 24), PLAIN[1:], id="summer time begins at midnight"),
        pytest.param("Africa/Cairo", date(2026, 10, 29), [*PLAIN, 23], id="summer time ends at midnight"),
        pytest.param("Australia/Adelaide", date(2026, 10, 4), [h for h in PLAIN if h != 2], id="half-hour offset"),
        pytest.param("Asia/Kathmandu", date(2026, 3, 29), PLAIN, id="no daylight saving"),
    ],
)
def test_hours_of_a_day(zone: str, day: date, expected: list[int]) -> None:
    assert day_of(zone, day) == expected


@pytest.mark.parametrize(
    ("zone", "minutes"), [("Asia/Kolkata", 330), ("Asia/Kathmandu", 345), ("Australia/Adelaide", 630), ("UTC", 0)]
)
def test_offsets_are_whole_minutes(zone: str, minutes: int) -> None:
    clock = make_clock((zone,), date(2026, 1, 10), 3)
    assert set(clock.offset_minutes[0, 1, :24].tolist()) == {minutes}


@settings(max_examples=25, deadline=None)
@given(
    zone=st.sampled_from(sorted(ZONES)),
    first=st.dates(date(1990, 1, 1), date(2035, 1, 1)),
    days=st.integers(3, 40),
)
def test_every_slot_is_a_local_hour_of_its_day(zone: str, first: date, days: int) -> None:
    clock = make_clock((zone,), first, days)
    opens = datetime(first.year, first.month, first.day, tzinfo=UTC)
    for d in range(days):
        day = date(1970, 1, 1) + timedelta(days=int(clock.dates[d]))
        for s in range(clock.slots[0, d]):
            instant = datetime.fromtimestamp(int(clock.day_start[0, d]) + s * SLOT_SECONDS, UTC)
            assert opens <= instant < opens + timedelta(days=days)
            local = instant.astimezone(ZoneInfo(zone))
            assert (local.date(), local.hour, local.minute) == (day, clock.hour[0, d, s], 0)
            shifted = instant + timedelta(minutes=int(clock.offset_minutes[0, d, s]))
            assert shifted.replace(tzinfo=None) == local.replace(tzinfo=None)
    assert (clock.exposure.sum(axis=-1) == clock.slots).all()


def test_only_whole_local_days_are_simulated() -> None:
    clock = make_clock(("America/New_York", "Asia/Tokyo", "UTC"), date(2026, 1, 10), 4)
    np.testing.assert_array_equal(clock.slots > 0, [[1, 1, 1, 0], [0, 1, 1, 1], [1, 1, 1, 1]])


def test_weekends() -> None:
    clock = make_clock(("UTC",), date(2026, 11, 23), 7)  # a Monday
    assert clock.weekend.tolist() == [False] * 5 + [True] * 2


def test_a_zone_with_half_hour_shifts_is_refused() -> None:
    with pytest.raises(ValueError, match="Lord_Howe"):
        make_clock(("Australia/Lord_Howe",), date(2026, 3, 30), 20)
