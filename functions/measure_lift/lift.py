"""Compare the arms of a campaign: the visits that pushes cause, against the users who get none.

Everybody stays in the arm of the first day and counts from there on, whether a push was opened, delivered or, after an
opt-out, withheld: intention to treat.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from functions.measure_lift.estimate import (
    ALPHA,
    Estimate,
    Sums,
    always_valid_factor,
    estimate,
    ratio_needed,
)
from functions.measure_lift.shares import planned_alike, shares_hold

BEST_HOUR, GLOBAL_BEST_HOUR, RANDOM_HOUR, NO_PUSH = "best_hour", "global_best_hour", "random_hour", "no_push"
CONTROL_SHARES = {
    GLOBAL_BEST_HOUR: "GlobalBestHourShare",
    RANDOM_HOUR: "RandomHourShare",
    NO_PUSH: "NoPushShare",
}
"""Of each control arm the key of its share in ``Campaign.Control``."""
DATE, DAY_LONG, HIT, OPENED, OPTED_OUT = "visited_date", "visited_24_hours", "hit", "opened", "opted_out"
"""Outcomes of a send: a visit on its local date, within 24 hours, within the response hours; an open or an opt-out that
the sender reported."""
SENT = "sent"
"""Outcome of a date since the user's first send: another send."""
COMPARISONS = (
    (BEST_HOUR, NO_PUSH, DATE),
    (BEST_HOUR, NO_PUSH, DAY_LONG),
    (GLOBAL_BEST_HOUR, NO_PUSH, DATE),
    (RANDOM_HOUR, NO_PUSH, DATE),
    (BEST_HOUR, GLOBAL_BEST_HOUR, DATE),
    (BEST_HOUR, RANDOM_HOUR, DATE),
)
"""Arm, control and outcome. The 24 hours after a send begin at another hour in every arm but best_hour and no_push, so
that only these two can be compared by them."""
HEADLINE = COMPARISONS[0]
THIRDS = {1: "who come least", 2: "in between", 3: "who come most"}
"""Thirds of the users, by the probability of coming at the first send."""
MINIMUM_USERS = 200
"""Of an arm. With fewer the variance itself is a guess."""
DAYS_EXPONENT = 0.6
"""The variance falls as the number of dates to the power of -0.6, less than by independent dates, as the users stay the
same: docs/lift.md has the measurement."""
LONGEST_DAYS = 365
HIGHER, LOWER, NO_DIFFERENCE = "higher", "lower", "no difference shown"
TOO_SMALL, ARMS_BROKEN = "sample too small", "arms do not have their shares"


@dataclass(frozen=True)
class Arm:
    """What is known of an arm.

    Attributes
    ----------
    dates : int
        Dates since the first send.
    pushes : int
        Sends that were handed over.
    outcomes : mapping
        Sums of each outcome of a send; of `SENT`, the user's dates since the first send in place of sends, and sends in
        place of outcomes.
    """

    dates: int
    pushes: int
    outcomes: Mapping[str, Sums]

    def __add__(self, others: Arm) -> Arm:
        """Return the arm with other users of it."""
        outcomes = {name: sums + others.outcomes[name] for name, sums in self.outcomes.items()}
        return Arm(max(self.dates, others.dates), self.pushes + others.pushes, outcomes)


@dataclass(frozen=True)
class Third:
    """The arms of a third of the users.

    Attributes
    ----------
    number : int
        See `THIRDS`.
    lowest, highest : float
        Probabilities of coming at the first send that its users have.
    arms : mapping
        By name.
    """

    number: int
    lowest: float
    highest: float
    arms: Mapping[str, Arm]


@dataclass(frozen=True)
class Lift:
    """A comparison of an arm with a control arm.

    Attributes
    ----------
    arm, control, outcome : str
    verdict : str
        ``higher``, ``lower``, ``no difference shown``, ``sample too small`` or ``arms do not have their
        shares``.
    users, control_users : int
        Users with at least one send.
    rate, control_rate : float or None
        Share of the sends with the outcome; None, as are all figures, if the arms cannot be compared.
    difference, low, high : float or None
        Outcomes per send more than in the control arm, and an interval that holds at all looks together.
    one_look_low, one_look_high : float or None
        An interval for those who look once, on a date chosen beforehand.
    relative, relative_low, relative_high : float or None
        The difference as a share of the control's rate, and an interval that holds at all looks.
    per_1000_pushes, per_1000_pushes_low, per_1000_pushes_high : float or None
        The difference per 1,000 pushes that were handed over; None against arms that get pushes too.
    cost, cost_low, cost_high : float or None
        Price of a caused visit; None if the pushes have no price or no visits are shown, at the upper end if there may
        be none.
    users_missing, days_missing : int or None
        Users of both arms, or else days with the same users, until a difference as large as wanted would be shown with
        a probability of 80%; 0 if there are enough, None if it is not known.
    reason : str
        Why there is no figure or no verdict; empty if there is one.
    """

    arm: str
    control: str
    outcome: str
    verdict: str
    users: int
    control_users: int
    rate: float | None = None
    control_rate: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    one_look_low: float | None = None
    one_look_high: float | None = None
    relative: float | None = None
    relative_low: float | None = None
    relative_high: float | None = None
    per_1000_pushes: float | None = None
    per_1000_pushes_low: float | None = None
    per_1000_pushes_high: float | None = None
    cost: float | None = None
    cost_low: float | None = None
    cost_high: float | None = None
    users_missing: int | None = None
    days_missing: int | None = None
    reason: str = ""


def lifts(arms: Mapping[str, Arm], campaign: Mapping[str, Any], wanted_relative_lift: float) -> list[Lift]:
    """Make all comparisons of the arms that the campaign has.

    Parameters
    ----------
    arms : mapping
        By name.
    campaign : mapping
        ``Control`` with the shares of the control arms and, if known, ``PricePerPush``.
    wanted_relative_lift : float
        The smallest lift worth detecting, as a share of the control's rate. The intervals are narrowest at about this
        size, so it is chosen before the first look and then kept.
    """
    shares = arm_shares(campaign["Control"])
    return [
        compare(arms, names, shares, wanted_relative_lift, campaign.get("PricePerPush"))
        for names in COMPARISONS
        if shares[names[0]] > 0 and shares[names[1]] > 0 and (names[0] in arms or names[1] in arms)
    ]


def by_thirds(
    thirds: Mapping[int, Third], campaign: Mapping[str, Any], wanted_relative_lift: float
) -> list[tuple[Third, Lift]]:
    """Compare best_hour with no_push in each third of the users, the one that comes least first.

    Where one looks at three intervals, one of them misses more often than a single one does: each is of the level
    ``ALPHA / 3``, so that all three hold together as the headline's does alone (Bonferroni).

    Parameters
    ----------
    thirds : mapping
        By their number, see `THIRDS`.
    campaign, wanted_relative_lift
        As in `lifts`.
    """
    shares = arm_shares(campaign["Control"])
    if min(shares[name] for name in HEADLINE[:2]) <= 0:
        return []
    price, level = campaign.get("PricePerPush"), ALPHA / len(THIRDS)
    return [
        (third, compare(third.arms, HEADLINE, shares, wanted_relative_lift, price, level))
        for _, third in sorted(thirds.items())
    ]


def whole(thirds: Iterable[Third]) -> dict[str, Arm]:
    """Return the arms with all of their users."""
    found: dict[str, Arm] = {}
    for third in thirds:
        for name, arm in third.arms.items():
            found[name] = found[name] + arm if name in found else arm
    return found


def arm_shares(control: Mapping[str, Any]) -> dict[str, float]:
    """Return the share of the users that each arm has."""
    shares = {arm: float(control[key]) for arm, key in CONTROL_SHARES.items()}
    return {BEST_HOUR: max(0.0, 1 - sum(shares.values())), **shares}


def compare(
    arms: Mapping[str, Arm],
    names: tuple[str, str, str],
    shares: Mapping[str, float],
    wanted_relative_lift: float,
    price: float | None = None,
    level: float = ALPHA,
) -> Lift:
    """Compare two arms by one outcome, or say why that is not possible.

    Parameters
    ----------
    arms : mapping
        By name.
    names : tuple of str
        Arm, control and outcome.
    shares : mapping
        Of the users, by arm.
    wanted_relative_lift : float
        The smallest lift worth detecting.
    price : float, optional
        Of a push.
    level : float
        Probability that an interval does not cover the truth.
    """
    (arm, sums), (control, base) = ((arms.get(name), _sums(arms, name, names[2])) for name in names[:2])
    known: dict[str, Any] = {
        "arm": names[0],
        "control": names[1],
        "outcome": names[2],
        "users": sums.users if sums else 0,
        "control_users": base.users if base else 0,
    }
    if reason := _broken(arms, names, shares):
        return Lift(verdict=ARMS_BROKEN, reason=reason, **known)
    missing = [name for name, one in zip(names, (sums, base), strict=False) if not one or one.users < MINIMUM_USERS]
    if missing or not (arm and control and sums and base):
        reason = f"{' and '.join(missing)} had sends to fewer than {MINIMUM_USERS} users: too few to estimate from."
        return Lift(verdict=TOO_SMALL, reason=reason, **known)
    found = estimate(sums, base)
    if min(found.rate, found.control_rate) <= 0:
        reason = "No send of an arm had this outcome, so there is nothing to relate a difference to."
        return Lift(verdict=TOO_SMALL, reason=reason, **known)
    wanted = wanted_relative_lift * found.control_rate
    figures = _figures(found, wanted, level)
    if names[1] == NO_PUSH:
        figures |= _of_pushes(figures, arm.pushes / sums.sends, price)
    users, days = _missing(found, wanted, level, sums.users + base.users, max(arm.dates, control.dates))
    figures |= {"users_missing": users, "days_missing": days}
    verdict, reason = _verdict(figures), ""
    if verdict == NO_DIFFERENCE and users:
        verdict, reason = TOO_SMALL, _wait(wanted_relative_lift, users, days)
    return Lift(verdict=verdict, reason=reason, **known, **figures)


def _sums(arms: Mapping[str, Arm], name: str, outcome: str) -> Sums | None:
    return arms[name].outcomes.get(outcome) if name in arms else None


def _broken(arms: Mapping[str, Arm], names: tuple[str, str, str], shares: Mapping[str, float]) -> str:
    """Say how far the arms are from what chance can have done; empty if they are not."""
    of_arm, of_control = (_sums(arms, name, SENT) for name in names[:2])
    users = of_arm.users if of_arm else 0, of_control.users if of_control else 0
    pair = shares[names[0]], shares[names[1]]
    if not shares_hold(users, pair):
        told = (
            f"{names[0]} has {users[0]:,} users and {names[1]} {users[1]:,}, {users[0] / sum(users):.2%} of both "
            f"instead of {pair[0] / sum(pair):.2%}"
        )
    # Only these two are planned alike: in other arms the minimum gap bars other dates.
    elif (
        names[:2] == HEADLINE[:2] and of_arm and of_control and min(users) > 1 and not planned_alike(of_arm, of_control)
    ):
        told = f"{names[0]} has {of_arm.rate:.3f} sends a date and user, {names[1]} {of_control.rate:.3f}"
    else:
        return ""
    return (
        f"{told}: more than chance explains. Sends are lost or recorded twice, or the shares were changed without "
        "another salt. Until that is mended no comparison of these arms is valid."
    )


def _figures(found: Estimate, wanted: float, level: float) -> dict[str, Any]:
    factor = always_valid_factor(found.variance, wanted, level) if found.variance else 0.0
    one_look = NormalDist().inv_cdf(1 - level / 2)
    error = math.sqrt(found.variance)
    # Of the ratio by the logarithm, whose distribution is nearer to a normal one.
    ratio, spread = found.rate / found.control_rate, math.exp(factor * math.sqrt(found.log_variance))
    return {
        "rate": found.rate,
        "control_rate": found.control_rate,
        "difference": found.difference,
        "low": found.difference - factor * error,
        "high": found.difference + factor * error,
        "one_look_low": found.difference - one_look * error,
        "one_look_high": found.difference + one_look * error,
        "relative": ratio - 1,
        "relative_low": ratio / spread - 1,
        "relative_high": ratio * spread - 1,
    }


def _verdict(figures: Mapping[str, Any]) -> str:
    """Return what both intervals say; near 0 that of the ratio may hold it where that of the difference does not."""
    if min(figures["low"], figures["relative_low"]) > 0:
        return HIGHER
    return LOWER if max(figures["high"], figures["relative_high"]) < 0 else NO_DIFFERENCE


def _of_pushes(figures: Mapping[str, Any], handed_over: float, price: float | None) -> dict[str, Any]:
    """Return the effect by pushes; not every send is handed over, as users have opted out."""
    if not handed_over:
        return {}
    effect, low, high = (1000 * figures[name] / handed_over for name in ("difference", "low", "high"))
    found = {"per_1000_pushes": effect, "per_1000_pushes_low": low, "per_1000_pushes_high": high}
    if price is not None and high > 0:
        for name, visits in (("cost", effect), ("cost_low", high), ("cost_high", low)):
            found |= {name: 1000 * price / visits} if visits > 0 else {}
    return found


def _missing(found: Estimate, wanted: float, level: float, users: int, dates: int) -> tuple[int, int]:
    """Return users, and days with the same users, until a difference as large as wanted is shown."""
    excess = max(1.0, found.variance / (ratio_needed(level) * wanted * wanted))
    return math.ceil(users * (excess - 1)), math.ceil(dates * (excess ** (1 / DAYS_EXPONENT) - 1))


def _wait(wanted: float, users: int, days: int) -> str:
    """Say what is missing."""
    more_days = f"about {days:,} more day{'' if days == 1 else 's'}" if days <= LONGEST_DAYS else "more than a year"
    return (
        f"To show a lift of {wanted:.0%} at these rates it takes {users:,} more users in these arms, or {more_days} "
        "with the same users."
    )


def table(arms: Mapping[str, Arm]) -> list[dict[str, Any]]:
    """Return a row for each arm: its users and sends, and the share of the sends with each outcome."""
    rows = []
    for name in (BEST_HOUR, *CONTROL_SHARES):
        if name in arms:
            outcomes = {outcome: sums for outcome, sums in arms[name].outcomes.items() if outcome != SENT}
            sent = arms[name].outcomes[SENT]
            counts = {"arm": name, "users": sent.users, "sends": sent.outcomes, "pushes": arms[name].pushes}
            rows.append(counts | {outcome: sums.rate for outcome, sums in outcomes.items()})
    return rows
