from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visitcast.data.calendar import days_since_epoch
from visitcast.sending.send_times import local_hours
from visitcast.sending.send_window import SendRules, allowed_hours, sendable

DAY = days_since_epoch(date(2026, 11, 24))
MIDNIGHT = DAY * 1440


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


def test_a_skipped_hour_is_judged_by_where_it_falls():
    day = days_since_epoch(date(2026, 3, 29))
    hours = local_hours(day, np.array([0], dtype=np.int16), np.array(["Europe/Berlin"], dtype=object))
    earliest = np.array([day * 1440 - 600], dtype=np.int32)
    allowed = allowed_hours(SendRules(quiet=(3, 4)))
    # Hour 2 does not exist; a push planned for it goes out at 3:00, which is quiet.
    assert not sendable(hours, allowed, earliest)[0, [2, 3]].any()


@given(
    offset=st.sampled_from([-720, -570, -210, 0, 330, 345, 765, 840]),
    window=st.tuples(st.integers(0, 23), st.integers(0, 24)),
    quiet=st.none() | st.tuples(st.integers(0, 23), st.integers(0, 24)),
    gap_ends=st.integers(-2000, 3000),
)
@settings(max_examples=150, deadline=None)
def test_hours_are_sendable_one_by_one(offset, window, quiet, gap_ends):
    hours = local_hours(DAY, np.array([offset], dtype=np.int16))
    allowed = allowed_hours(SendRules(window, quiet))
    earliest = np.array([MIDNIGHT + gap_ends], dtype=np.int32)
    begins = MIDNIGHT - offset + 60 * np.arange(24)
    expected = [allowed[hour] and begins[hour] >= MIDNIGHT + gap_ends for hour in range(24)]
    assert sendable(hours, allowed, earliest)[0].tolist() == expected
