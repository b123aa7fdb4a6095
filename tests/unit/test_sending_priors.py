import numpy as np
import pytest
from hypothesis import given, settings
from made_visits import datasets, made_dataset

from visitcast.data import schema
from visitcast.data.dataset import hour_flags, select_users
from visitcast.sending.priors import (
    BANDS,
    MIXED,
    PRIOR,
    SOURCES,
    answer,
    band,
    habits_of,
    hour_counts,
    priors_of,
    weekday,
)

DATE = 20_781  # 2026-11-24, a Tuesday


def priors_for(dataset):
    return priors_of(habits_of(dataset, DATE))


def empty(rows):
    return np.zeros((rows, 24), dtype=np.float32)


def test_bands_cover_every_offset():
    offsets = np.arange(schema.WESTERNMOST_MINUTES, schema.EASTERNMOST_MINUTES + 1)
    assert band(offsets).min() == 0
    assert band(offsets).max() == BANDS - 1


def test_the_weekday_is_the_calendars():
    assert [int(weekday(DATE + d)) for d in range(7)] == [1, 2, 3, 4, 5, 6, 0]


@given(datasets())
@settings(max_examples=20, deadline=None)
def test_shares_are_shares(dataset):
    priors = priors_for(dataset)
    np.testing.assert_allclose(priors.first_visit_hour.sum(axis=-1), 1, rtol=1e-5)
    assert (priors.first_visit_hour > 0).all()
    assert ((priors.visit_hour > 0) & (priors.visit_hour <= 1)).all()


def by_hand(dataset, flags, platform, zone):
    """The nested mixture, written out for one group."""
    share = np.full(24, 1 / 24)
    tuesday = weekday(dataset.visit_date.astype(int)) == 1
    of_platform = tuesday & (dataset.platform == platform)
    of_zone = of_platform & (band(dataset.utc_offset_minutes) == zone)
    for rows in (np.ones(dataset.visit_days, bool), tuesday, of_platform, of_zone):
        share = (flags[rows].sum(axis=0) + 50 * share) / (rows.sum() + 50)
    return share


@pytest.mark.parametrize("platform", range(4))
def test_a_group_is_mixed_with_those_around_it(platform):
    dataset = made_dataset(users=80, mean_days=30)
    priors = priors_for(dataset)
    for zone in (0, 4, 8):
        for found, flags in (
            (priors.first_visit_hour, np.eye(24)[dataset.first_visit_hour]),
            (priors.visit_hour, hour_flags(dataset.hourly_visits)),
        ):
            np.testing.assert_allclose(found[platform, zone], by_hand(dataset, flags, platform, zone), rtol=1e-5)


def test_a_user_without_days_gets_the_groups_habits():
    priors = priors_for(made_dataset(users=50))
    platform, offset = np.array([2], dtype=np.int8), np.array([60], dtype=np.int16)
    first, visited, source = answer(priors, platform, offset, empty(1), empty(1), np.zeros(1, dtype=np.int64))
    np.testing.assert_allclose(first[0], priors.first_visit_hour[2, band(offset)[0]], rtol=1e-6)
    np.testing.assert_allclose(visited[0], priors.visit_hour[2, band(offset)[0]], rtol=1e-6)
    assert SOURCES[source[0]] == PRIOR


def test_a_few_own_days_count_beside_the_group():
    priors = priors_for(made_dataset(users=50))
    counts = empty(1)
    counts[0, 5] = 2
    where = (np.array([0], dtype=np.int8), np.array([60], dtype=np.int16))
    first, visited, source = answer(priors, *where, counts, counts, np.array([2]))
    alone, _, _ = answer(priors, *where, empty(1), empty(1), np.array([0]))
    assert first[0, 5] == pytest.approx((2 + 8 * alone[0, 5]) / 10, rel=1e-5)
    assert first.sum() == pytest.approx(1, abs=1e-6)
    assert visited.max() <= 1
    assert SOURCES[source[0]] == MIXED


def test_no_data_at_all_give_even_shares():
    nobody = made_dataset(users=1)
    priors = priors_for(type(nobody)(**{name: getattr(nobody, name)[:0] for name in nobody.__dataclass_fields__}))
    np.testing.assert_allclose(priors.first_visit_hour, 1 / 24, rtol=1e-6)


def test_counts_of_users():
    dataset = made_dataset(users=7)
    first, visited = hour_counts(dataset)
    for user in range(7):
        rows = slice(dataset.offsets[user], dataset.offsets[user + 1])
        np.testing.assert_array_equal(first[user], np.bincount(dataset.first_visit_hour[rows], minlength=24))
        np.testing.assert_array_equal(visited[user], hour_flags(dataset.hourly_visits[rows]).sum(axis=0))


def test_habits_add_up():
    dataset = made_dataset(users=9)
    parts = [habits_of(select_users(dataset, users), DATE) for users in (slice(0, 4), slice(4, 9))]
    found, whole = priors_of(parts[0] + parts[1]), priors_for(dataset)
    np.testing.assert_allclose(found.first_visit_hour, whole.first_visit_hour, rtol=1e-6)
    np.testing.assert_allclose(found.visit_hour, whole.visit_hour, rtol=1e-6)
