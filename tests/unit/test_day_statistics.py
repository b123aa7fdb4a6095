from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import datasets, made_dataset
from sklearn.preprocessing import StandardScaler

from visitcast.data.dataset import hour_flags, position_in_history, select_users
from visitcast.features import day_statistics
from visitcast.features.day_statistics import DayStatistics, mean_and_variance, merge, summarise


def assert_same_statistics(one: DayStatistics, other: DayStatistics) -> None:
    for field in fields(DayStatistics):
        left, right = getattr(one, field.name), getattr(other, field.name)
        assert left.dtype == right.dtype == np.int64, field.name
        np.testing.assert_array_equal(left, right, err_msg=field.name)


def columns_of(dataset):
    return [np.log1p(dataset.total_time_spent_s), dataset.last_visit_hour, dataset.total_page_views / 30]


@given(datasets())
@settings(max_examples=25, deadline=None)
def test_counts_are_those_of_a_plain_loop_over_the_dates(dataset):
    statistics = summarise(dataset, columns_of(dataset))
    assert statistics.dates.tolist() == sorted(set(dataset.visit_date.tolist()))
    earlier, flags = position_in_history(dataset), hour_flags(dataset.hourly_visits)
    for number, date in enumerate(statistics.dates):
        rows = dataset.visit_date == date
        assert statistics.visit_days[number] == rows.sum()
        assert statistics.eligible[number] == (earlier[rows] >= 3).sum()
        assert statistics.first_hours[number].tolist() == [
            int((dataset.first_visit_hour[rows] == hour).sum()) for hour in range(24)
        ]
        assert statistics.visited_hours[number].tolist() == flags[rows].sum(axis=0).tolist()


@given(datasets(max_users=8), st.data())
@settings(max_examples=25, deadline=None)
def test_parts_of_the_users_add_up_to_the_same_numbers(dataset, data):
    part_of_user = np.array(data.draw(st.lists(st.integers(0, 3), min_size=dataset.users, max_size=dataset.users)))
    order = data.draw(st.permutations(range(4)))
    parts = [select_users(dataset, np.flatnonzero(part_of_user == part)) for part in order]
    merged = merge([summarise(part, columns_of(part)) for part in parts])
    assert_same_statistics(merged, summarise(dataset, columns_of(dataset)))


@given(st.lists(st.integers(0, 2**33 - 1), min_size=1, max_size=200))
def test_mean_and_variance_of_multiples_of_the_unit_are_exact(units):
    days = made_dataset(users=40, seed=1)
    days = select_users(days, slice(None))
    units = np.resize(units, days.visit_days)
    mean, variance = mean_and_variance(summarise(days, [units * 2.0**-28]))
    values = [Fraction(int(unit), 2**28) for unit in units]
    exact = sum(values) / len(values)
    assert mean[0] == float(exact)
    assert variance[0] == float(sum((value - exact) ** 2 for value in values) / len(values))


@pytest.mark.parametrize(("centre", "spread"), [(16, 8.0), (31, 0.1), (20, 1e-3)], ids=str)
def test_mean_and_variance_are_those_of_scikit_learn(centre, spread):
    dataset = made_dataset(users=50)
    values = centre + spread * np.random.default_rng(0).uniform(-1, 1, dataset.visit_days)
    mean, variance = mean_and_variance(summarise(dataset, [values]))
    scaler = StandardScaler().fit(values[:, None])
    assert mean == pytest.approx(scaler.mean_, rel=1e-6)
    assert variance == pytest.approx(scaler.var_, rel=1e-6)


def test_more_rows_than_are_summed_at_a_time():
    dataset = made_dataset(users=40)
    rows = np.arange(600_000) % dataset.visit_days
    many = replace(
        dataset,
        user_ids=np.arange(len(rows)).astype(str),
        offsets=np.arange(len(rows) + 1),
        **{name: getattr(dataset, name)[rows] for name in ("visit_date", "first_visit_hour", "hourly_visits")},
    )
    values = np.full(len(rows), 31.999)
    statistics = summarise(many, [values])
    mean, variance = mean_and_variance(statistics)
    assert statistics.visit_days.sum() == len(rows)
    assert mean[0] == pytest.approx(31.999, abs=1e-8)
    assert variance[0] == 0


def test_sums_beyond_64_bits_stay_exact():
    dataset = made_dataset(users=3)
    one = summarise(dataset, [np.linspace(0, 31, dataset.visit_days)])
    huge = DayStatistics(**{**{f.name: getattr(one, f.name) * 2**20 for f in fields(one)}, "dates": one.dates})
    np.testing.assert_array_equal(mean_and_variance(huge), mean_and_variance(one))


def test_dates_before_a_date():
    dataset = made_dataset(users=20)
    date = int(np.median(dataset.visit_date))
    kept = day_statistics.before(summarise(dataset, columns_of(dataset)), date)
    assert kept.dates.max() < date
    assert kept.visit_days.sum() == (dataset.visit_date < date).sum()
