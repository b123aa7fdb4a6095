"""What the closed dates say: the correction of the log odds, how dates move, and intervals that hold as they claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visitcast.forecasting.correction import FEWEST_DATES, Correction, corrected, solve_correction
from visitcast.sending.realised import ClosedDates, expected_visits, in_words, read_closed_dates

Row = dict[str, str]


def visitors_row(day: int, users: int, expected: float, realised: float, quarter: int = 0) -> Row:
    return row("visitors", day, users, expected, 1.0, realised) | {"quarter_of_log_odds": f"{quarter}"}


def sends_row(day: int, expected: float, variance: float, realised: float) -> Row:
    return row("sends", day, 1000, expected, variance, realised)


def row(outcome: str, day: int, rows: int, expected: float, variance: float, realised: float) -> Row:
    values = {"rows": rows, "forecast": expected, "expected": expected, "variance": variance, "realised": realised}
    return {"outcome": outcome, "dt": f"2026-10-{day:02}", **{name: f"{value}" for name, value in values.items()}}


# --- the correction --------------------------------------------------------------------------------------------------


def plain(p: float, slope: float, shift: float) -> float:
    return 1 / (1 + ((1 - p) / p) ** slope * math.exp(-shift))


@given(
    groups=st.lists(st.tuples(st.floats(0.001, 0.999), st.integers(100, 100_000)), min_size=1, max_size=20),
    slope=st.floats(0.5, 1.5),
    shift=st.floats(-1, 1),
)
def test_a_correction_balances_what_came_and_the_prior(
    groups: list[tuple[float, int]], slope: float, shift: float
) -> None:
    probability, users = (np.array(values, dtype=float) for values in zip(*groups, strict=True))
    visitors = users * np.array([plain(p, slope, shift) for p in probability])
    found = solve_correction(probability, users, visitors)
    left = visitors - users * np.array([plain(p, found.slope, found.shift) for p in probability])
    tolerance = 1e-6 * float(users.sum())
    assert left.sum() == pytest.approx(20 * found.shift, abs=tolerance)
    assert (left * np.log(probability / (1 - probability))).sum() == pytest.approx(
        20 * (found.slope - 1), abs=10 * tolerance
    )


def test_many_visitors_show_the_slope_and_the_shift() -> None:
    p = np.array([0.02, 0.1, 0.3, 0.6])
    found = solve_correction(p, np.full(4, 1e6), 1e6 * np.array([plain(q, 0.8, -0.3) for q in p]))
    assert (found.slope, found.shift) == pytest.approx((0.8, -0.3), abs=1e-3)


@pytest.mark.parametrize("came", [0, 1_000_000])
def test_even_extreme_dates_give_finite_numbers(came: int) -> None:
    found = solve_correction(np.array([0.3]), np.array([1e6]), np.array([float(came)]))
    assert abs(found.slope) < 20
    assert abs(found.shift) < 20


def test_few_visitors_change_little() -> None:
    found = solve_correction(np.array([0.01]), np.array([100.0]), np.array([0.0]))
    assert found.shift == pytest.approx(0, abs=0.05)
    assert found.slope == pytest.approx(1, abs=0.25)


@given(st.floats(0, 1), st.floats(0.2, 3), st.floats(-5, 5))
def test_a_correction_is_of_the_log_odds(p: float, slope: float, shift: float) -> None:
    (found,) = corrected(np.array([p]), Correction(slope, shift))
    assert 0 <= found <= 1
    if 1e-6 < p < 1 - 1e-6:
        assert found == pytest.approx(plain(p, slope, shift))
    assert corrected(np.array([p]), Correction())[0] == p


def test_who_never_came_has_no_probability_to_correct() -> None:
    assert np.isnan(corrected(np.array([np.nan], dtype=np.float32), Correction(1.0, 1.0))).all()


def test_quarters_of_log_odds_are_fine_enough() -> None:
    """The correction from groups is that of each user's own probability."""
    rng = np.random.default_rng(1)
    p = rng.beta(0.4, 2, 50_000).clip(1e-5, 1 - 1e-5)
    quarter = np.floor(4 * np.log(p / (1 - p))).astype(int)
    came = rng.random(len(p)) < corrected(p, Correction(shift=0.7))
    rows = [
        visitors_row(day, int(of.sum()), float(p[of].sum()), float(came[of].sum()), q)
        for day in range(1, FEWEST_DATES + 1)
        for q in np.unique(quarter)
        for of in [quarter == q]
    ]
    exact = solve_correction(
        np.tile(p, FEWEST_DATES), np.ones(len(p) * FEWEST_DATES), np.tile(came, FEWEST_DATES).astype(float)
    )
    found = read_closed_dates(rows).correction
    assert (found.slope, found.shift) == pytest.approx((exact.slope, exact.shift), abs=0.01)
    assert (exact.slope, exact.shift) == pytest.approx((1, 0.7), abs=0.05)


def test_below_a_week_nothing_is_known() -> None:
    def found(days: int) -> ClosedDates:
        every = range(1, days + 1)
        return read_closed_dates(
            [visitors_row(day, 1000, 200, 300) for day in every] + [sends_row(day, 90, 80, 100) for day in every]
        )

    before, after = found(FEWEST_DATES - 1), found(FEWEST_DATES)
    assert (before.correction, before.chance_correction, before.common, before.ratio) == (
        Correction(),
        None,
        None,
        None,
    )
    assert (before.dates, before.expected, before.realised) == (6, 540, 600)
    assert corrected(np.array([0.2]), after.correction) > 0.28
    assert after.chance_correction is not None
    assert 0.09 < corrected(np.array([0.09]), after.chance_correction) < 0.1
    assert after.ratio is not None
    assert after.ratio.value == pytest.approx(0.9)
    assert "not yet known" in " ".join(in_words(expected_visits(np.array([0.5]), before), before))
    assert "not yet known" not in " ".join(in_words(expected_visits(np.array([0.5]), after), after))


def test_chances_of_hours_that_were_chosen_are_corrected_in_each_tenth() -> None:
    """The hour with the highest of several chances that are known with an error: what was expected is too much."""
    rng = np.random.default_rng(4)
    true = rng.beta(1, 8, (60_000, 15))
    odds = np.log(true / (1 - true)) + rng.normal(0, 0.3, true.shape)
    best = odds.argmax(axis=1)
    forecast = 1 / (1 + np.exp(-np.take_along_axis(odds, best[:, None], axis=1)[:, 0]))
    came = rng.random(len(best)) < np.take_along_axis(true, best[:, None], axis=1)[:, 0]
    learnt, judged = slice(0, 50_000), slice(50_000, None)
    quarter = np.floor(4 * np.log(forecast / (1 - forecast))).astype(int)
    rows = [
        row("sends", day, int(of.sum()), float(forecast[learnt][of].sum()), 1.0, float(came[learnt][of].sum()))
        for day in range(1, FEWEST_DATES + 1)
        for q in np.unique(quarter[learnt])
        for of in [quarter[learnt] == q]
    ]
    correction = read_closed_dates(rows).chance_correction
    assert correction is not None
    after = corrected(forecast[judged], correction)
    assert forecast[judged].sum() / came[judged].sum() > 1.1
    order = np.argsort(after)
    for tenth in np.array_split(order, 5):
        assert after[tenth].sum() / came[judged][tenth].sum() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("text", ["", "0"])
def test_a_result_without_rows_says_nothing(text: str) -> None:
    empty = dict.fromkeys(("outcome", "dt", "expected", "variance", "realised"), "") | {"rows": text}
    assert read_closed_dates([empty]) == read_closed_dates([]) == ClosedDates()


def test_nobody_who_comes_gives_no_ratio() -> None:
    assert read_closed_dates([sends_row(day, 0.5, 0.4, 0) for day in range(1, 29)]).ratio is None


# --- intervals -------------------------------------------------------------------------------------------------------


def simulated(
    rng: np.random.Generator, wobble: float, days: int, users: int = 2000, share: float = 1.0
) -> tuple[list[Row], NDArray[np.float64], int]:
    """Closed dates of a share of the users whose log odds all move daily, then the next date's chances and visits."""
    rows = []
    for day in range(1, days + 2):
        p = rng.beta(1, 9, users if day > days else round(share * users))
        came = int((rng.random(len(p)) < corrected(p, Correction(shift=rng.normal(0, wobble)))).sum())
        rows.append(sends_row(day, p.sum(), (p * (1 - p)).sum(), came))
    return rows[:-1], p, came


@pytest.mark.parametrize("wobble", [0.0, 0.15])
@pytest.mark.parametrize("days", [7, 28])
@pytest.mark.parametrize("share", [1.0, 0.25])
def test_nine_of_ten_dates_lie_in_the_interval(wobble: float, days: int, share: float) -> None:
    """Also where the closed dates have a part of the users only, of whom less is known, so that it is wider."""
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(300):
        rows, chances, came = simulated(rng, wobble, days, share=share)
        expected = expected_visits(chances, read_closed_dates(rows))
        assert expected.low is not None
        assert expected.high is not None
        inside.append(expected.low <= came <= expected.high)
    assert 0.85 <= np.mean(inside) <= (0.98 if share == 1 else 1)


def test_the_ratio_is_one_as_often_as_its_interval_claims() -> None:
    rng = np.random.default_rng(4)
    ratios = [read_closed_dates(simulated(rng, 0.15, 28)[0]).ratio for _ in range(300)]
    assert np.mean([ratio is not None and ratio.low <= 1 <= ratio.high for ratio in ratios]) >= 0.92
    assert np.median([ratio.high - ratio.low for ratio in ratios if ratio is not None]) < 0.15


def test_dates_move_together_by_what_chance_does_not_explain() -> None:
    exact = [sends_row(day, 90, 80, 90) for day in range(1, 29)]
    assert read_closed_dates(exact).common == 0
    wide = [sends_row(day, 90, 81, 90 + 15 * (-1) ** day) for day in range(1, 29)]
    assert read_closed_dates(wide).common == pytest.approx(12 / 90)


def test_who_never_came_is_counted_apart() -> None:
    found = expected_visits(np.array([0.25, np.nan, 0.5, np.nan], dtype=np.float32), ClosedDates())
    assert (found.value, found.unknown_users) == (0.75, 2)


def test_the_expectation_in_words() -> None:
    closed = read_closed_dates([sends_row(day, 124.3, 100, 125) for day in range(1, 29)])
    first, second, third = in_words(expected_visits(np.append(np.full(252, 0.5), np.nan), closed), closed)
    assert first == (
        "Visits expected in the hour of the push: 126, on 90% of such dates between 112 and 140 "
        "(without the push: no effect is claimed)"
    )
    assert second == (
        "Users without a push, last 28 dates that are over: 3,480 expected, 3,500 came, ratio 0.99 (0.96 to 1.03)"
    )
    assert third == "Users who never came before, not counted: 1"
