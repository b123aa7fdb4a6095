"""Lift of sending at each user's best hour over a control arm, with its interval, from seven sums per arm.

A send is answered when the user visits within some hours of it. The sends to one user are alike, so users and not sends
are the sampling units: the response rate of an arm is the ratio of two sums over its users, and its variance is that of
a ratio under cluster sampling (Cochran, Sampling Techniques, 3rd ed., 1977, section 6.3). Users were put into the arms
by chance, so the arms are independent and the difference of their rates is normal for samples of the size asked for
here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

TREATMENT = "best_hour"
LEVEL = 0.95
POWER = 0.8
MINIMUM_USERS = 100
"""Below this the variance itself is a guess, and no sample size can be computed from it."""


@dataclass(frozen=True)
class ArmSums:
    """Sums of an arm from which the interval is computed; each of its users has n sends, of which r were answered.

    Attributes
    ----------
    users : int
    sends, responses : int
        Sums of n and of r.
    sends_squared, responses_squared, sends_times_responses : int
        Sums of n * n, r * r and n * r.
    """

    users: int
    sends: int
    responses: int
    sends_squared: int
    responses_squared: int
    sends_times_responses: int

    @property
    def rate(self) -> float:
        """Share of the sends that were answered."""
        return self.responses / self.sends if self.sends else math.nan

    @property
    def variance_per_user(self) -> float:
        """Variance of the rate times the number of users."""
        squares = (
            self.responses_squared
            - 2 * self.rate * self.sends_times_responses
            + self.rate * self.rate * self.sends_squared
        )
        mean_sends = self.sends / self.users
        return max(squares, 0.0) / (self.users - 1) / (mean_sends * mean_sends)


@dataclass(frozen=True)
class Lift:
    """The comparison with one control arm.

    Attributes
    ----------
    control : str
        The control arm.
    verdict : str
        ``higher``, ``lower``, ``no difference shown`` or ``sample too small``.
    rate, control_rate : float or None
        Share of the sends that were answered; None, like everything below, if the sample is too small.
    difference, low, high : float or None
        Difference of the rates in answered sends per send, and the ends of its interval.
    relative, relative_low, relative_high : float or None
        The same as a share of the control's rate.
    users, control_users : int
        Users with at least one send.
    users_needed, control_users_needed : int or None
        Smallest sample, at the present ratio of the arms, that shows the wanted lift with a power of 80%.
    reason : str
        Why there is no figure; empty if there is one.
    """

    control: str
    verdict: str
    users: int
    control_users: int
    rate: float | None = None
    control_rate: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    relative: float | None = None
    relative_low: float | None = None
    relative_high: float | None = None
    users_needed: int | None = None
    control_users_needed: int | None = None
    reason: str = ""


def lifts(arms: Mapping[str, ArmSums], wanted_relative_lift: float) -> list[dict[str, Any]]:
    """Compare the treatment with every control arm.

    Parameters
    ----------
    arms : mapping
        Sums of each arm, ``best_hour`` among them.
    wanted_relative_lift : float
        The smallest lift worth detecting, as a share of the control's rate; it determines the sample size.
        Chosen before looking: a report that waits for its sample is not stopped at a lucky moment.
    """
    treatment = arms.get(TREATMENT, ArmSums(0, 0, 0, 0, 0, 0))
    return [
        asdict(compare(name, treatment, control, wanted_relative_lift))
        for name, control in sorted(arms.items())
        if name != TREATMENT
    ]


def compare(name: str, treatment: ArmSums, control: ArmSums, wanted_relative_lift: float) -> Lift:
    """Compare the treatment with one control arm, or say how large the sample must be for that."""
    sizes = {"control": name, "users": treatment.users, "control_users": control.users}
    if min(treatment.users, control.users) < MINIMUM_USERS or 0 in (treatment.sends, control.sends):
        reason = f"An arm has fewer than {MINIMUM_USERS} users: too few even to tell how large the sample must be."
        return Lift(verdict="sample too small", reason=reason, **sizes)  # type: ignore[arg-type]
    if control.responses == 0:
        reason = "Nobody in the control arm came after a push, so there is nothing to relate the lift to."
        return Lift(verdict="sample too small", reason=reason, **sizes)  # type: ignore[arg-type]
    needed = control_users_needed(treatment, control, wanted_relative_lift)
    ratio = treatment.users / control.users
    samples = {"users_needed": math.ceil(needed * ratio), "control_users_needed": needed}
    if control.users < needed:
        reason = (
            f"To show a lift of {wanted_relative_lift:.0%} the arm {name} needs {needed:,} users and has "
            f"{control.users:,}: raise its share, or wait until more users have been sent to."
        )
        return Lift(verdict="sample too small", reason=reason, **sizes, **samples)  # type: ignore[arg-type]
    return Lift(**sizes, **samples, **_interval(treatment, control))  # type: ignore[arg-type]


def control_users_needed(treatment: ArmSums, control: ArmSums, wanted_relative_lift: float) -> int:
    """Users that the control arm needs, at the present ratio of the arms: the usual formula for two means.

    ``(z_level + z_power)^2 * (v_control + v_treatment / ratio) / difference^2`` with the variances per user.
    """
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2) + NormalDist().inv_cdf(POWER)
    ratio = treatment.users / control.users
    difference = wanted_relative_lift * control.rate
    variance = control.variance_per_user + treatment.variance_per_user / ratio
    return max(MINIMUM_USERS, math.ceil(z * z * variance / (difference * difference)))


def _interval(treatment: ArmSums, control: ArmSums) -> dict[str, Any]:
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    variance = treatment.variance_per_user / treatment.users
    control_variance = control.variance_per_user / control.users
    difference = treatment.rate - control.rate
    half = z * math.sqrt(variance + control_variance)
    # Of the ratio by the logarithm, whose distribution is nearer to a normal one.
    ratio = treatment.rate / control.rate
    spread = math.exp(z * math.sqrt(variance / treatment.rate**2 + control_variance / control.rate**2)) if ratio else 1
    low, high = difference - half, difference + half
    return {
        "verdict": "higher" if low > 0 else "lower" if high < 0 else "no difference shown",
        "rate": treatment.rate,
        "control_rate": control.rate,
        "difference": difference,
        "low": low,
        "high": high,
        "relative": ratio - 1,
        "relative_low": ratio / spread - 1,
        "relative_high": ratio * spread - 1,
    }
