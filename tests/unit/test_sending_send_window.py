from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visitcast.sending.send_times import NEVER, day_number, iso_utc, local_hours
from visitcast.sending.send_window import NO_HOUR, SendRules, allowed_hours, best_moments, sendable

DAY = day_number(date(2026, 11, 24))
MIDNIGHT = DAY * 1440
ANY_TIME = SendRules(quiet=None, minimum_gap_minutes=0)


def hours_of(offsets, dates=2, first=DAY):
    return local_hours(first, np.array(offsets, dtype=np.int16), dates=dates)


@pytest.mark.parametrize(
    ("rules", "hours"),
    [
        pytest.param(SendRules(quiet=(22, 7)), range(7, 22), id="quiet over midnight"),
        pytest.param(SendRules(quiet=(1, 5)), [0, *range(5, 24)], id="quiet by night"),
        pytest.param(SendRules(window=(9, 21), quiet=None), range(9, 21), id="window"),
        pytest.param(SendRules(window=(20, 2), quiet=(22, 7)), [20, 21], id="window over midnight within quiet"),
        pytest.param(SendRules(window=(0, 24), quiet=None), range(24), id="whole day"),
        pytest.param(SendRules(quiet=(8, 8)), range(24), id="no quiet hour"),
        pytest.param(SendRules(quiet=(0, 24)), [], id="all quiet"),
    ],
)
def test_allowed_hours(rules, hours):
    assert np.flatnonzero(allowed_hours(rules)).tolist() == list(hours)


def test_waits_for_the_best_hour_over_midnight_and_two_dates():
    chance = np.full((1, 48), 0.1)
    chance[0, 12], chance[0, 24 + 8], chance[0, 24 + 20] = 0.9, 0.5, 0.8  # gone, in reach, beyond the deadline
    found = best_moments(chance, hours_of([60]), ANY_TIME, now=MIDNIGHT + 19 * 60, within_minutes=15 * 60)
    assert found.hour.tolist() == [24 + 8]
    assert iso_utc(found.utc[0]) == "2026-11-25T07:00:00Z"


def test_sends_now_when_the_present_hour_is_the_best():
    chance = np.full((1, 48), 0.1)
    chance[0, 20] = 0.9
    now = MIDNIGHT + 19 * 60 + 25  # 20:25 local
    found = best_moments(chance, hours_of([60]), ANY_TIME, now, within_minutes=300)
    assert (found.hour[0], found.utc[0], found.chance[0]) == (20, now, 0.9)


def test_keeps_the_gap_since_the_last_push():
    chance = np.linspace(0.9, 0.1, 48)[None].repeat(2, axis=0)
    rules = SendRules(quiet=None, minimum_gap_minutes=6 * 60)
    last = np.array([MIDNIGHT + 8 * 60 + 30, np.iinfo(np.int32).min // 2], dtype=np.int32)
    found = best_moments(chance, hours_of([0, 0]), rules, MIDNIGHT + 600, 1440, last)
    assert found.hour.tolist() == [14, 10]
    assert iso_utc(found.utc[0]) == "2026-11-24T14:30:00Z"


def test_says_so_when_every_hour_in_reach_is_quiet():
    chance = np.full((1, 48), 0.2)
    found = best_moments(chance, hours_of([0]), SendRules(), MIDNIGHT + 23 * 60, within_minutes=120)
    assert (found.hour[0], found.utc[0], found.chance[0]) == (NO_HOUR, NEVER, 0)


def test_a_skipped_hour_is_judged_by_where_it_falls():
    day = day_number(date(2026, 3, 29))
    hours = local_hours(day, np.array([0], dtype=np.int16), np.array(["Europe/Berlin"], dtype=object))
    earliest = np.array([day * 1440 - 600], dtype=np.int32)
    allowed = allowed_hours(SendRules(quiet=(3, 4)))
    # Hour 2 does not exist; a push planned for it goes out at 3:00, which is quiet.
    assert not sendable(hours, allowed, earliest)[0, [2, 3]].any()


@given(
    seed=st.integers(0, 10_000),
    offset=st.sampled_from([-720, -570, -210, 0, 330, 345, 765, 840]),
    now=st.integers(0, 1440),
    within=st.integers(0, 1500),
    window=st.tuples(st.integers(0, 23), st.integers(0, 24)),
    quiet=st.none() | st.tuples(st.integers(0, 23), st.integers(0, 24)),
    last=st.none() | st.integers(-2000, 1440),
)
@settings(max_examples=150, deadline=None)
def test_no_minute_in_reach_is_better(seed, offset, now, within, window, quiet, last):
    """Oracle: try every minute."""
    chance = np.random.default_rng(seed).random((1, 96))
    rules = SendRules(window, quiet, minimum_gap_minutes=300)
    hours = local_hours(DAY - 1, np.array([offset], dtype=np.int16), dates=4)
    last_push = None if last is None else np.array([MIDNIGHT + last], dtype=np.int32)
    found = best_moments(chance, hours, rules, MIDNIGHT + now, within, last_push)
    allowed = allowed_hours(rules)
    options = []
    for minute in range(MIDNIGHT + now, MIDNIGHT + now + within + 1):
        slot = (minute + offset - (DAY - 1) * 1440) // 60
        gap_kept = last is None or minute >= MIDNIGHT + last + 300
        if allowed[slot % 24] and gap_kept:
            options.append((chance[0, slot], -minute))
    if not options:
        assert found.hour[0] == NO_HOUR
    else:
        best, minute = max(options)
        assert (found.chance[0], found.utc[0]) == (best, -minute)
