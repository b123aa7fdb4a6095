"""Whether two arms have the users and sends that chance gave them; if not, nothing about them is to be believed.

A hand-over that loses some of the pushes, or a record that lacks them, leaves users or sends out of one arm and not of
the other. Both checks are sequential, because they are looked at every day: whatever the number of looks, a false alarm
has a probability of at most `LEVEL`.
"""

from __future__ import annotations

import math

from functions.measure_lift.estimate import Sums, always_valid_factor, estimate

LEVEL = 0.001
"""Smaller than that of an interval, as an alarm silences the report."""
CONCENTRATION = 1000.0
"""Of the mixture: shares that are wrong by one or two percentage points are expected."""
TOLERATED = 0.01
"""Difference of the sends per date that is tolerated: what users do changes what is planned for them a little."""


def shares_hold(users: tuple[int, int], shares: tuple[float, float]) -> bool:
    """Return whether two arms' users agree with their shares.

    The Bayes factor of a Dirichlet mixture against the intended shares exceeds 1 / level at any look with a probability
    of at most the level (Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022; with two
    arms, a beta mixture).

    Parameters
    ----------
    users : tuple of int
        Of each arm.
    shares : tuple of float
        Of all users, both positive.
    """
    return log_bayes_factor(users, shares) < -math.log(LEVEL)


def log_bayes_factor(users: tuple[int, int], shares: tuple[float, float]) -> float:
    """Return the logarithm of the Bayes factor against the shares."""
    first = shares[0] / sum(shares)
    a, b = CONCENTRATION * first, CONCENTRATION * (1 - first)
    expected = users[0] * math.log(first) + users[1] * math.log(1 - first)
    return _log_beta(a + users[0], b + users[1]) - _log_beta(a, b) - expected


def planned_alike(arm: Sums, control: Sums) -> bool:
    """Return whether users of two arms have equally many sends per date since their first one.

    Parameters
    ----------
    arm, control : Sums
        With the dates since the user's first send in place of sends, and sends in place of outcomes.
    """
    found = estimate(arm, control, adjusted=False)
    if not found.variance:
        return found.difference == 0
    tolerated = TOLERATED * found.control_rate
    reach = always_valid_factor(found.variance, 5 * tolerated, LEVEL) * math.sqrt(found.variance)
    return abs(found.difference) <= tolerated + reach


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
