"""Geometry of the pictures."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.charts import SHADES, Scale, calendar, curve, shade
from console.data.forecasts import HOURS, History

DAYS = st.dates(date(2024, 1, 1), date(2026, 12, 31))


@given(DAYS, st.integers(0, 400))
def test_a_calendar_has_each_day_once_in_its_week(first: date, days: int) -> None:
    last = first + timedelta(days=days)
    drawn = calendar({last: 3}, first, last, "page views")
    assert len({(cell.column, cell.row) for cell in drawn.cells}) == len(drawn.cells) == days + 1
    assert max(cell.column for cell in drawn.cells) == drawn.weeks - 1
    assert drawn.cells[-1].row == last.weekday()
    assert drawn.cells[-1].text == f"{last:%a %d %b %Y}: 3 page views"
    assert [cell.shade for cell in drawn.cells] == [0] * days + [SHADES]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_only_nothing_is_shaded_as_nothing(value: int, largest: int) -> None:
    assert 0 <= shade(value, largest) <= SHADES
    assert (shade(value, largest) == 0) == (value <= 0 or largest <= 0)


@given(st.floats(-1e3, 1e3), st.floats(0.01, 1e3))
def test_ticks_are_few_and_on_the_axis(low: float, span: float) -> None:
    scale = Scale(low, low + span, 0, 100)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 6
    assert all(-0.1 <= scale(tick) <= 100.1 for tick in ticks)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_a_curve_stays_in_its_box(values: list[float]) -> None:
    drawn = curve(list(enumerate(values, 1)), len(values), 320, 170)
    places = [tuple(map(float, point.split())) for point in drawn.path.removeprefix("M").split(" L")]
    assert len(places) == len(values)
    assert all(44 <= x <= 312 and 8 <= y <= 146 for x, y in places)
    assert places[-1] == pytest.approx(drawn.last)


def test_shares_are_of_visit_days() -> None:
    friday = date(2026, 11, 27)
    history = History(
        friday,
        {
            friday - timedelta(days=1): {8: 2, 9: 1},
            friday - timedelta(days=7): {8: 5},
            friday - timedelta(days=28): {20: 1},
            friday - timedelta(days=29): {20: 1},
        },
    )
    recent, weekday = history.shares(history.recent()), history.shares(history.same_weekday())
    assert recent is not None
    assert weekday is not None
    assert len(recent) == HOURS
    assert (recent[8], recent[9], recent[20]) == pytest.approx((2 / 3, 1 / 3, 1 / 3))
    assert (weekday[8], weekday[20]) == (0.5, 0.5)
    assert history.shares([]) is None
