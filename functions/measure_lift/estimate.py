"""Difference between two arms, its variance and its intervals, from sums over the users of each arm.

Users were put into the arms by chance, and the sends to one user are alike, so users and not sends are the sampling
units. The rate of an arm is the ratio of two sums over its users, with the variance of a ratio under cluster sampling
(Cochran, Sampling Techniques, 3rd ed., 1977, section 6.3). A prediction made before the user's first send explains a
part of that variance (CUPED: Deng, Xu, Kohavi and Walker, WSDM 2013).

The report is read every day, so its interval holds at all looks together: an asymptotic confidence sequence
(Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 52, 2024, theorem 2.2). Alpha spending would be narrower at the end of an experiment
whose length is known, but it needs that length and the earlier looks, and ends there.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from functools import cache
from statistics import NormalDist

ALPHA = 0.05
POWER = 0.8
Z_POWER = NormalDist().inv_cdf(POWER)


@dataclass(frozen=True)
class Sums:
    """Sums over the users of an arm.

    A user has n sends, y of which had the outcome, and z = n times the prediction of the outcome.

    Attributes
    ----------
    users : int
    sends, outcomes : int
        Sums of n and of y.
    predicted : float
        Sum of z.
    sends_squared, outcomes_squared, sends_times_outcomes : int
        Sums of n * n, y * y and n * y.
    predicted_squared, sends_times_predicted, outcomes_times_predicted : float
        Sums of z * z, n * z and y * z.
    """

    users: int
    sends: int
    outcomes: int
    predicted: float
    sends_squared: int
    outcomes_squared: int
    sends_times_outcomes: int
    predicted_squared: float
    sends_times_predicted: float
    outcomes_times_predicted: float

    def __add__(self, others: Sums) -> Sums:
        """Return the sums over these users and others."""
        return Sums(*(own + other for own, other in zip(astuple(self), astuple(others), strict=True)))

    @property
    def rate(self) -> float:
        """Share of the sends with the outcome."""
        return self.outcomes / self.sends

    @property
    def mean_prediction(self) -> float:
        """Mean prediction of the sends."""
        return self.predicted / self.sends

    def squares(self) -> tuple[float, float, float]:
        """Return the sums of e * e, e * f and f * f, where e = y - rate * n and f = z - mean_prediction * n."""
        r, x = self.rate, self.mean_prediction
        return (
            self.outcomes_squared - 2 * r * self.sends_times_outcomes + r * r * self.sends_squared,
            self.outcomes_times_predicted
            - r * self.sends_times_predicted
            - x * self.sends_times_outcomes
            + r * x * self.sends_squared,
            self.predicted_squared - 2 * x * self.sends_times_predicted + x * x * self.sends_squared,
        )

    def variance(self, theta: float) -> float:
        """Return the variance of ``rate - theta * mean_prediction``."""
        ee, ef, ff = self.squares()
        total = max(ee - 2 * theta * ef + theta * theta * ff, 0.0)
        return self.users / (self.users - 1) * total / (self.sends * self.sends)


@dataclass(frozen=True)
class Estimate:
    """Difference between an arm and its control.

    Attributes
    ----------
    rate, control_rate : float
        Outcomes per send of both arms, at the mean prediction of both.
    difference, variance : float
        ``rate - control_rate`` and its variance.
    log_variance : float
        Variance of ``log(rate / control_rate)``; NaN if one of them is not positive.
    """

    rate: float
    control_rate: float
    difference: float
    variance: float
    log_variance: float


def estimate(arm: Sums, control: Sums, *, adjusted: bool = True) -> Estimate:
    """Estimate the difference between two arms.

    Parameters
    ----------
    arm, control : Sums
        Each of two users or more.
    adjusted : bool
        Whether the prediction is used.
    """
    of_arm, of_control = arm.squares(), control.squares()
    scatter = of_arm[2] + of_control[2]
    theta = (of_arm[1] + of_control[1]) / scatter if adjusted and scatter > 1e-12 else 0.0
    mean = (arm.predicted + control.predicted) / (arm.sends + control.sends)
    rate, control_rate = (one.rate - theta * (one.mean_prediction - mean) for one in (arm, control))
    variances = arm.variance(theta), control.variance(theta)
    positive = rate > 0 and control_rate > 0
    return Estimate(
        rate=rate,
        control_rate=control_rate,
        difference=rate - control_rate,
        variance=sum(variances),
        log_variance=variances[0] / rate**2 + variances[1] / control_rate**2 if positive else math.nan,
    )


def always_valid_factor(variance: float, scale: float, level: float = ALPHA) -> float:
    """Return how many standard errors an interval reaches that covers the truth at all looks together.

    This is the boundary of the normal mixture: with n, sigma and rho of theorem 2.2, variance = sigma^2 / n and
    scale = rho * sigma^2. It is nearest to the estimate, at 3.0 standard errors, where the variance is an eighth of
    the scale's square.

    Parameters
    ----------
    variance : float
        Of the estimate at this look.
    scale : float
        Size of the differences at which the interval is to be narrow; the same at all looks.
    level : float
        Probability that the interval does not cover the truth at some look.
    """
    ratio = variance / (scale * scale)
    return math.sqrt((1 + ratio) * math.log((1 + 1 / ratio) / (level * level)))


@cache
def ratio_needed(level: float = ALPHA) -> float:
    """Solve for the variance, as a share of the scale's square, at which a difference of that scale is shown.

    Its interval then lies beyond 0 with the probability `POWER`. About 1 / 15 for the level `ALPHA`; one look at a
    chosen time would do with 1 / 7.8.
    """
    low, high = 1e-6, 1.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        reach = math.sqrt(middle) * (always_valid_factor(middle, 1.0, level) + Z_POWER)
        low, high = (middle, high) if reach < 1 else (low, middle)
    return low
