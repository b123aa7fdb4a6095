import numpy as np
import pytest

from visitcast.evaluation import bootstrap
from visitcast.evaluation.bootstrap import Interval, bootstrap_by_user, interval, resampled_sums


def made_rows(users=60, seed=3):
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), rng.integers(1, 30, size=users))
    return rng.normal(size=users)[user] + rng.normal(size=len(user)), user


def plain_bootstrap(values, users, draws, rng):
    """Copy the rows of whole users, one resample at a time."""
    groups = [values[users == user] for user in np.unique(users)]
    return [
        np.concatenate([groups[k] for k in rng.integers(len(groups), size=len(groups))]).mean() for _ in range(draws)
    ]


def test_the_interval_is_that_of_the_plain_bootstrap():
    values, users = made_rows()
    low, high = np.quantile(plain_bootstrap(values, users, 4000, np.random.default_rng(1)), [0.025, 0.975])
    found = bootstrap_by_user(values, users)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(low, abs=0.1 * (high - low))
    assert found.high == pytest.approx(high, abs=0.1 * (high - low))


def test_rows_of_one_user_count_as_alike():
    """Every row ten times over is no more evidence."""
    values, users = made_rows()
    once, often = bootstrap_by_user(values, users), bootstrap_by_user(np.repeat(values, 10), np.repeat(users, 10))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """300 samples of 60 users whose true mean is zero: the share of hits has a standard error of 1.3 points."""
    rng = np.random.default_rng(11)
    users = np.repeat(np.arange(60), 5)
    hits = 0
    for sample in range(300):
        values = rng.normal(size=60)[users] + rng.normal(size=len(users))
        found = bootstrap_by_user(values, users, draws=500, seed=sample)
        hits += found.low <= 0 <= found.high
    assert 0.90 <= hits / 300 <= 0.98


def test_columns_share_their_resamples():
    values, users = made_rows()
    other = np.random.default_rng(2).normal(size=len(values))
    sums = resampled_sums({"a": values, "b": other, "a - b": values - other}.items(), users, draws=50)
    assert sums["a"] - sums["b"] == pytest.approx(sums["a - b"])


def test_many_users_are_pooled_without_narrowing_the_interval(monkeypatch):
    values, users = made_rows(users=2000)
    exact = bootstrap_by_user(values, users)
    monkeypatch.setattr(bootstrap, "MAX_UNITS", 500)
    pooled = bootstrap_by_user(values, users)
    assert pooled.mean == exact.mean
    assert pooled.high - pooled.low == pytest.approx(exact.high - exact.low, rel=0.2)


def test_blocks_do_not_change_the_sums(monkeypatch):
    values, users = made_rows()
    whole = resampled_sums([("values", values)], users, draws=100)
    monkeypatch.setattr(bootstrap, "BLOCK_ENTRIES", 7 * 60)
    assert resampled_sums([("values", values)], users, draws=100)["values"] == pytest.approx(whole["values"])


def test_it_repeats_itself_whatever_the_users_are_called():
    values, users = np.arange(10.0), np.repeat([5, 7, 11, 2, 3], 2)
    assert bootstrap_by_user(values, users) == bootstrap_by_user(values, users)
    assert bootstrap_by_user(values, users) == bootstrap_by_user(values, users * 10)


def test_equal_values_have_no_interval():
    assert bootstrap_by_user(np.zeros(4), np.array([0, 0, 1, 2])) == Interval(0, 0, 0)


def test_a_lower_level_is_narrower():
    resampled = np.random.default_rng(0).normal(size=1000)
    wide, narrow = interval(0.0, resampled), interval(0.0, resampled, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high
