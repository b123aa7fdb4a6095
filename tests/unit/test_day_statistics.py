from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import datasets, made_dataset

from visitcast.data.dataset import hour_flags, position_in_history, select_users
from visitcast.features import day_statistics
from visitcast.features.day_statistics import (
    EMPTY,
    SCALED_NAMES,
    DayStatistics,
    merge,
    pooled_before,
    summarise,
)
from visitcast.features.definition import SCALED_BLOCKS, Days

TOLERANCE = 1e-12


def assert_same_statistics(one: DayStatistics, other: DayStatistics) -> None:
    for name in (field.name for field in fields(DayStatistics)):
        left, right = getattr(one, name), getattr(other, name)
        assert left.dtype == right.dtype, name
        if name in ("means", "squares"):
            np.testing.assert_allclose(left, right, rtol=TOLERANCE, atol=1e-24, err_msg=name)
        else:
            np.testing.assert_array_equal(left, right, err_msg=name)


def values_of(dataset):
    return np.concatenate([block.encode(Days(dataset)) for block in SCALED_BLOCKS], axis=1)


@given(datasets())
@settings(max_examples=25, deadline=None)
def test_statistics_are_those_of_a_plain_loop_over_the_dates(dataset):
    statistics = summarise(dataset)
    assert statistics.dates.tolist() == sorted(set(dataset.visit_date.tolist()))
    earlier, flags, values = position_in_history(dataset), hour_flags(dataset.hourly_visits), values_of(dataset)
    for number, date in enumerate(statistics.dates):
        rows = dataset.visit_date == date
        assert statistics.visit_days[number] == rows.sum()
        assert statistics.eligible[number] == (earlier[rows] >= 3).sum()
        assert statistics.first_hours[number].tolist() == [
            int((dataset.first_visit_hour[rows] == hour).sum()) for hour in range(24)
        ]
        assert statistics.visited_hours[number].tolist() == flags[rows].sum(axis=0).tolist()
        np.testing.assert_allclose(statistics.means[number], values[rows].mean(axis=0), rtol=TOLERANCE)
        np.testing.assert_allclose(
            statistics.squares[number], rows.sum() * values[rows].var(axis=0), rtol=1e-10, atol=1e-24
        )


@given(datasets(max_users=8), st.data())
@settings(max_examples=25, deadline=None)
def test_parts_of_the_users_merge_to_the_statistics_of_all(dataset, data):
    part_of_user = np.array(data.draw(st.lists(st.integers(0, 3), min_size=dataset.users, max_size=dataset.users)))
    order = data.draw(st.permutations(range(4)))
    parts = [select_users(dataset, np.flatnonzero(part_of_user == part)) for part in order]
    assert_same_statistics(merge([summarise(part) for part in parts]), summarise(dataset))


@given(datasets(), st.sampled_from([1, 7, 100]))
@settings(max_examples=15, deadline=None)
def test_rows_may_be_summed_up_in_pieces(dataset, rows_at_once):
    whole = summarise(dataset)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(day_statistics, "_ROWS_AT_ONCE", rows_at_once)
        assert_same_statistics(summarise(dataset), whole)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 4), st.integers(-(2**30), 2**30), st.integers(0, 2**30)),
        min_size=1,
        max_size=60,
    )
)
def test_pooled_means_and_squares_are_exact_to_a_few_bits(days):
    """Against rational numbers: each part has a date, rows, a mean and a sum of squared deviations."""
    dates, rows, means, squares = (np.array(values) for values in zip(*days, strict=True))
    parts = [
        replace(
            EMPTY,
            dates=dates[[at]],
            visit_days=rows[[at]],
            eligible=rows[[at]],
            first_hours=np.zeros((1, 24), dtype=np.int64),
            visited_hours=np.zeros((1, 24), dtype=np.int64),
            means=np.full((1, len(SCALED_NAMES)), means[at] / 2**20),
            squares=np.full((1, len(SCALED_NAMES)), squares[at] / 2**20),
        )
        for at in range(len(days))
    ]
    merged = merge(parts)
    for number, date in enumerate(merged.dates):
        same = [(int(n), Fraction(int(m), 2**20), Fraction(int(s), 2**20)) for d, n, m, s in days if d == date]
        total = sum(n for n, _, _ in same)
        mean = sum(n * m for n, m, _ in same) / total
        largest = max(abs(m) for _, m, _ in same)
        spread = sum(s + n * (m - mean) ** 2 for n, m, s in same)
        assert merged.visit_days[number] == total
        assert abs(Fraction(merged.means[number, 0]) - mean) <= TOLERANCE * largest
        assert abs(Fraction(merged.squares[number, 0]) - spread) <= TOLERANCE * (spread + largest * TOLERANCE)


@given(datasets())
@settings(max_examples=15, deadline=None)
def test_only_dates_before_the_date_are_pooled(dataset):
    date = int(np.median(dataset.visit_date)) + 1
    known = dataset.visit_date < date
    pooled = pooled_before(summarise(dataset), date)
    assert pooled.visit_days.tolist() == [known.sum()]
    values = values_of(dataset)[known]
    np.testing.assert_allclose(pooled.means[0], values.mean(axis=0), rtol=TOLERANCE)
    np.testing.assert_allclose(pooled.squares[0], known.sum() * values.var(axis=0), rtol=1e-10, atol=1e-22)


def test_no_visit_day():
    somebody = made_dataset(users=1)
    assert_same_statistics(summarise(select_users(somebody, slice(0, 0))), EMPTY)
    assert_same_statistics(merge([EMPTY, EMPTY]), EMPTY)
    assert_same_statistics(merge([EMPTY, summarise(somebody), EMPTY]), summarise(somebody))
