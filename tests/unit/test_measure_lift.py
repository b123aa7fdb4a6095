import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from functions.measure_lift.lift import ArmSums, compare, control_users_needed, lifts

SIMULATIONS = 400


def sums(sends, responses):
    return ArmSums(
        len(sends),
        *(int(total.sum()) for total in (sends, responses, sends**2, responses**2, sends * responses)),
    )


def simulated(rng, users, rate, days=7):
    """Return an arm whose users differ in response rate and number of pushes."""
    sends = rng.integers(1, days + 1, size=users)
    habit = rng.beta(rate * 4, (1 - rate) * 4, size=users)
    return sends, rng.binomial(sends, habit)


@pytest.mark.parametrize("lift", [0.0, 0.1, 0.4])
def test_the_interval_covers_the_truth_at_its_rate(lift):
    rng = np.random.default_rng(20)
    covered = relative_covered = 0
    for _ in range(SIMULATIONS):
        control = sums(*simulated(rng, 700, 0.15))
        treatment = sums(*simulated(rng, 4000, 0.15 * (1 + lift)))
        found = compare("global_best_hour", treatment, control, wanted_relative_lift=0.5)
        assert found.verdict != "sample too small"
        covered += found.low <= 0.15 * lift <= found.high
        relative_covered += found.relative_low <= lift <= found.relative_high
    # With a true coverage of 95% a count outside these limits has a chance of one in ten thousand.
    low, high = binom.ppf([0.00005, 0.99995], SIMULATIONS, 0.95)
    assert low <= covered <= high
    assert low <= relative_covered <= high


def test_pretending_that_sends_are_independent_would_not_cover():
    """With one cluster per send instead of per user the interval misses the truth far too often."""
    rng = np.random.default_rng(21)
    covered = 0
    for _ in range(SIMULATIONS):
        arms = []
        for users in (4000, 700):
            sends, responses = simulated(rng, users, 0.15)
            n, r = int(sends.sum()), int(responses.sum())
            arms.append(ArmSums(n, n, r, n, r, r))
        found = compare("c", *arms, wanted_relative_lift=0.5)
        covered += found.low <= 0 <= found.high
    assert covered < binom.ppf(0.00005, SIMULATIONS, 0.95)


def test_the_sample_asked_for_has_the_power_promised():
    rng = np.random.default_rng(22)
    pilot = [sums(*simulated(rng, 20_000, rate)) for rate in (0.15 * 1.2, 0.15)]
    needed = control_users_needed(*pilot, wanted_relative_lift=0.2)
    shown = 0
    for _ in range(SIMULATIONS):
        treatment, control = (sums(*simulated(rng, needed, rate)) for rate in (0.15 * 1.2, 0.15))
        low = compare("c", treatment, control, wanted_relative_lift=10.0).low
        shown += low > 0
    low, high = binom.ppf([0.00005, 0.99995], SIMULATIONS, 0.8)
    assert low <= shown <= high


def test_a_sample_too_small_gives_no_figure_but_the_sample_needed():
    rng = np.random.default_rng(23)
    control, treatment = sums(*simulated(rng, 200, 0.15)), sums(*simulated(rng, 1800, 0.2))
    found = compare("random_hour", treatment, control, wanted_relative_lift=0.05)
    assert found.verdict == "sample too small"
    assert found.difference is None
    assert found.control_users_needed > 200
    assert found.users_needed == math.ceil(found.control_users_needed * 9)
    assert f"{found.control_users_needed:,} users and has 200" in found.reason


@pytest.mark.parametrize(
    "arms", [{}, {"best_hour": ArmSums(5, 5, 1, 5, 1, 1), "random_hour": ArmSums(3, 3, 0, 3, 0, 0)}]
)
def test_hardly_any_users_give_no_figure(arms):
    assert all(found["verdict"] == "sample too small" for found in lifts(arms, 0.1))


def test_nobody_answers_in_the_control_arm():
    silent = ArmSums(500, 500, 0, 500, 0, 0)
    assert "Nobody" in compare("c", ArmSums(500, 500, 9, 500, 9, 9), silent, 0.1).reason


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=2, max_size=40))
def test_the_variance_is_that_of_its_definition(users):
    sends = np.array([n for n, _ in users])
    responses = np.minimum(sends, [r for _, r in users])
    arm = sums(sends, responses)
    rest = responses - arm.rate * sends
    expected = (rest**2).sum() / (len(users) - 1) / sends.mean() ** 2
    assert arm.variance_per_user == pytest.approx(expected, abs=1e-9)
