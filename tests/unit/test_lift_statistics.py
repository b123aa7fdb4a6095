"""The statistics of a lift: the estimate, its always-valid interval, and the checks of the arms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lift_sums import simulated, sums
from scipy.stats import betabinom, binom, norm

from functions.measure_lift.estimate import ALPHA, always_valid_factor, estimate, ratio_needed
from functions.measure_lift.shares import LEVEL, log_bayes_factor, planned_alike, shares_hold

# --- the estimate ----------------------------------------------------------------------------------------------------

USERS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.floats(0, 1, width=32)), min_size=2, max_size=30)


@given(users=USERS, theta=st.floats(-1, 2))
def test_the_variance_is_that_of_its_definition(users: list[tuple[int, int, float]], theta: float) -> None:
    n = np.array([n for n, _, _ in users])
    y = np.minimum(n, [y for _, y, _ in users])
    x = np.array([x for _, _, x in users])
    found = sums(n, y, x)
    rest = y - found.rate * n - theta * (n * x - found.mean_prediction * n)
    expected = len(n) / (len(n) - 1) * (rest**2).sum() / n.sum() ** 2
    assert found.variance(theta) == pytest.approx(expected, abs=1e-9)


def test_the_prediction_is_used_as_a_regression_would_use_it() -> None:
    rng = np.random.default_rng(3)
    both = []
    for rate in (0.3, 0.2):
        n = np.full(4000, 5)
        habit = rng.beta(1.0, 4.0, 4000)
        both.append((n, rng.binomial(n, np.minimum(habit * rate / 0.2, 1)), habit))
    found = estimate(*(sums(*users) for users in both))
    plain = estimate(*(sums(*users) for users in both), adjusted=False)
    treated = np.repeat([1, 0], 4000)
    y, x = (np.concatenate([users[i] for users in both]) for i in (1, 2))
    design = np.stack([np.ones(8000), treated, x], axis=1)
    coefficients = np.linalg.lstsq(design, y / 5, rcond=None)[0]
    assert found.difference == pytest.approx(coefficients[1])
    assert found.rate - found.control_rate == pytest.approx(found.difference)
    assert found.variance < 0.7 * plain.variance
    assert plain.difference == pytest.approx(y[:4000].mean() / 5 - y[4000:].mean() / 5)


def test_without_a_prediction_it_is_left_out() -> None:
    rng = np.random.default_rng(4)
    both = [simulated(rng, 500, rate) for rate in (0.3, 0.2)]
    unknown = [
        replace(one, predicted=0.0, predicted_squared=0.0, sends_times_predicted=0.0, outcomes_times_predicted=0.0)
        for one in both
    ]
    assert estimate(*unknown) == estimate(*both, adjusted=False)


# --- intervals -------------------------------------------------------------------------------------------------------


@given(n=st.integers(1, 10_000), sigma=st.floats(0.1, 10), rho=st.floats(0.01, 10))
def test_the_interval_is_that_of_the_paper(n: int, sigma: float, rho: float) -> None:
    """Waudby-Smith et al., theorem 2.2: the margin of a mean of n observations."""
    part = n * sigma**2 * rho**2 + 1
    paper = sigma * math.sqrt(2 * part / (n**2 * sigma**2 * rho**2) * math.log(math.sqrt(part) / ALPHA)) * sigma
    variance = sigma**2 / n
    scale = rho * sigma**2
    assert always_valid_factor(variance, scale) * math.sqrt(variance) == pytest.approx(paper / sigma, rel=1e-9)


def test_the_interval_is_nearest_where_it_should_be() -> None:
    factors = {ratio: always_valid_factor(ratio, 1.0) for ratio in (1 / 30, 1 / 8, 1 / 2)}
    assert min(factors, key=lambda ratio: factors[ratio]) == 1 / 8
    assert factors[1 / 8] == pytest.approx(3.0, abs=0.05)


def test_all_looks_at_a_mean_together_miss_it_seldom_and_fixed_intervals_often() -> None:
    rng = np.random.default_rng(5)
    walks = rng.normal(size=(2000, 400)).cumsum(axis=1)
    n = np.arange(1, 401)
    error = np.abs(walks / n) * np.sqrt(n)
    factor = np.array([always_valid_factor(1 / k, 0.25) for k in n])
    assert (error > factor).any(axis=1).mean() < ALPHA
    assert (error > 1.96).any(axis=1).mean() > 0.3


@pytest.mark.parametrize("level", [ALPHA, ALPHA / 3])
def test_the_sample_asked_for_shows_the_wanted_difference_with_the_power_promised(level: float) -> None:
    error = math.sqrt(ratio_needed(level))
    reach = always_valid_factor(ratio_needed(level), 1.0, level) * error
    assert norm.sf((reach - 1) / error) == pytest.approx(0.8)


# --- the checks ------------------------------------------------------------------------------------------------------


@given(first=st.integers(0, 3000), second=st.integers(0, 3000), share=st.floats(0.05, 0.95))
@settings(deadline=None)
def test_the_factor_is_that_of_the_mixture_against_the_shares(first: int, second: int, share: float) -> None:
    both = first + second
    expected = betabinom.logpmf(first, both, 1000 * share, 1000 * (1 - share)) - binom.logpmf(first, both, share)
    assert log_bayes_factor((first, second), (share, 1 - share)) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_users_who_are_missing_ring_and_chance_does_not() -> None:
    assert shares_hold((9050, 950), (0.8, 0.1 * 8 / 9))
    assert not shares_hold((8000, 1000), (0.8, 0.08))
    rng = np.random.default_rng(6)
    looks = (rng.random((400, 30_000)) < 0.9).cumsum(axis=1)[:, 999::1000]
    false = [
        any(not shares_hold((int(a), 1000 * (k + 1) - int(a)), (0.9, 0.1)) for k, a in enumerate(row)) for row in looks
    ]
    assert np.mean(false) <= 5 * LEVEL


def test_sends_that_are_missing_ring() -> None:
    rng = np.random.default_rng(7)
    dates = rng.integers(1, 15, 9000)
    x = np.zeros(9000)
    whole = sums(dates, rng.binomial(dates, 0.95), x)
    control = sums(dates[:1000], rng.binomial(dates[:1000], 0.95), x[:1000])
    lossy = sums(dates, rng.binomial(dates, 0.9), x)
    assert planned_alike(whole, control)
    assert not planned_alike(lossy, control)
    every = sums(dates, dates, x)
    assert planned_alike(every, every)
