"""Detect drift: changed users or forecasts, and worse outcomes than the evaluation measured.

*Distributions*: the population stability index (PSI) of inputs and forecasts, of this run against the model's training
data and against the run of four weeks ago, which had the same weekday. Users change so slowly that a comparison with
yesterday would never show it. Siddiqi, Credit Risk Scorecards, Wiley 2006: an index below 0.1 means no change, above
0.25 a large one. Few users give a large index by chance, so that Pearson's chi-square test of homogeneity must reject
chance as well. *Outcomes*: log loss and hit rate of the week that is over, against the evaluation of forecasts that
were made in the same way, and the visits that came against those expected.

Without any drift a run raises a false alarm with a probability of at most ``FALSE_ALARMS``, which is divided among all
comparisons (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, sqrt
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from scipy.stats import chi2_contingency

from visitcast.forecasting.profile import Profile
from visitcast.metrics import BEST_HOUR_HIT_RATE, LOG_LOSS
from visitcast.sending.realised import ClosedDates

TRAINING: Final = "training data"
INPUT: Final = "input: "
"""Begins the names of the distributions that do not depend on what forecasts."""
FOUR_WEEKS_AGO: Final = "four weeks ago"
FALSE_ALARMS: Final = 0.001
"""Largest probability of an alarm in a run without drift."""
COMPARISONS: Final = 16
"""Two references for each of seven distributions, log loss and hit rate."""
ROWS: Final = "rows"
USERS: Final = "users"
DEVIATION: Final = "log_loss_deviation"
LIMITS_PASSED: Final = "drift_limits_passed"
"""Metric behind the alarm."""
_SMOOTHING: Final = 0.5


@dataclass(frozen=True)
class Limits:
    """Limits beyond which a run raises an alarm.

    Attributes
    ----------
    psi : float
        Limit on the index of every distribution.
    log_loss_increase : float
        Nats by which a realised log loss may exceed the evaluation's.
    hit_rate_decrease : float
        Amount by which a realised hit rate may fall below the evaluation's.
    visits_ratio : float
        Factor between expected and realised visits, in either direction.
    minimum_rows : int
        With fewer active users or outcomes no limit applies to them.
    """

    psi: float = 0.25
    log_loss_increase: float = 0.15
    hit_rate_decrease: float = 0.05
    visits_ratio: float = 1.25
    minimum_rows: int = 200


@dataclass(frozen=True)
class Verdict:
    """Result of the drift check.

    Attributes
    ----------
    alarm : bool
        A limit was passed.
    reasons : list of str
        One sentence for each limit passed.
    psi : dict
        Index of each distribution, by what it is compared with.
    realised : dict or None
        ``rows``, ``log_loss`` and ``best_hour_hit_rate`` of the week that is over.
    """

    alarm: bool
    reasons: list[str]
    psi: dict[str, dict[str, float]] = field(default_factory=dict)
    realised: dict[str, float] | None = None


def psi(before: Sequence[float], now: Sequence[float]) -> float:
    """Compute the population stability index: sum over the bins of ``(q - p) * log(q / p)``.

    Half a user is added to every bin, so that an empty one does not give infinity.
    """
    p, q = (np.asarray(counts, dtype=np.float64) + _SMOOTHING for counts in (before, now))
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def metrics(verdict: Verdict, closed: ClosedDates, environment: str) -> list[dict[str, Any]]:
    """Return a verdict as CloudWatch's ``MetricData``; unknown values are left out.

    Parameters
    ----------
    verdict : Verdict
        What :func:`judge` returned.
    closed : ClosedDates
        What came of the dates that are over.
    environment : str
        Value of the dimension ``Environment``.
    """
    values: dict[str, float] = {LIMITS_PASSED: len(verdict.reasons)}
    if indexes := [index for of_reference in verdict.psi.values() for index in of_reference.values()]:
        values["drift_largest_psi"] = max(indexes)
    if verdict.realised is not None:
        values |= {f"realised_{name}": verdict.realised[name] for name in (LOG_LOSS, BEST_HOUR_HIT_RATE)}
    if closed.ratio is not None:
        values["expected_over_realised_visits"] = closed.ratio.value
    dimensions = [{"Name": "Environment", "Value": environment}]
    return [{"MetricName": name, "Value": value, "Dimensions": dimensions} for name, value in values.items()]


def judge(
    now: Profile,
    references: Mapping[str, Profile | None],
    outcomes: Mapping[str, float] | None,
    evaluated: Mapping[str, float],
    closed: ClosedDates,
    limits: Limits,
) -> Verdict:
    """Compare a run with its references, and the dates that are over with what was measured and expected.

    Parameters
    ----------
    now : Profile
        Of this run.
    references : mapping
        Profiles by name; empty or None where there is none.
    outcomes : mapping or None
        ``rows``, ``users``, ``log_loss``, ``log_loss_deviation`` (standard deviation of a row's) and
        ``best_hour_hit_rate`` of the week that is over.
    evaluated : mapping
        ``log_loss`` and ``best_hour_hit_rate`` of the model's test rows, forecast as the schedule does; may be empty.
    closed : ClosedDates
        Visits that were expected and that came.
    limits : Limits
        Limits of the alarm.
    """
    indexes: dict[str, dict[str, float]] = {}
    reasons = []
    for name, reference in references.items():
        if not reference:
            continue
        indexes[name] = {what: psi(reference[what], now[what]) for what in now if what in reference}
        reasons += [
            f"{what} has shifted against {name}: PSI {index:.2f}, limit {limits.psi:.2f}"
            for what, index in indexes[name].items()
            if index > limits.psi and _is_beyond_chance(reference[what], now[what], limits.minimum_rows)
        ]
    if outcomes is not None and evaluated and outcomes[ROWS] >= limits.minimum_rows:
        reasons += _worse_outcomes(outcomes, evaluated, limits)
    if (ratio := closed.ratio) is not None and max(closed.expected, closed.realised) >= limits.minimum_rows:
        beyond = ratio.low > limits.visits_ratio or ratio.high < 1 / limits.visits_ratio
        said = f"expected visits are {ratio.value:.2f} times those that came ({ratio.low:.2f} to {ratio.high:.2f})"
        reasons += [f"{said}, limit {limits.visits_ratio:.2f}"] if beyond else []
    realised = None if outcomes is None else {name: outcomes[name] for name in (ROWS, LOG_LOSS, BEST_HOUR_HIT_RATE)}
    return Verdict(bool(reasons), reasons, indexes, realised)


def _is_beyond_chance(before: Sequence[float], now: Sequence[float], minimum: int) -> bool:
    """Return whether two samples are large enough and differ by more than chance would make them."""
    table = np.array([before, now], dtype=np.float64)
    if table.sum(axis=1).min() < minimum:
        return False
    tested: Any = chi2_contingency(table[:, table.any(axis=0)], correction=False)
    return bool(tested.pvalue < FALSE_ALARMS / COMPARISONS)


def _worse_outcomes(outcomes: Mapping[str, float], evaluated: Mapping[str, float], limits: Limits) -> list[str]:
    """Compare outcomes beyond their limits and beyond chance; days of one user count as one observation."""
    deviations = NormalDist().inv_cdf(1 - FALSE_ALARMS / COMPARISONS)
    reasons = []
    worse = outcomes[LOG_LOSS] - evaluated[LOG_LOSS]
    deviation = 0.0 if isnan(outcomes[DEVIATION]) else outcomes[DEVIATION]
    if worse > max(limits.log_loss_increase, deviations * deviation / sqrt(outcomes[USERS])):
        reasons.append(
            f"realised log loss {outcomes[LOG_LOSS]:.3f} is {worse:.3f} nats above the evaluation's, "
            f"limit {limits.log_loss_increase:.3f}"
        )
    rate = evaluated[BEST_HOUR_HIT_RATE]
    missed = rate - outcomes[BEST_HOUR_HIT_RATE]
    if missed > max(limits.hit_rate_decrease, deviations * sqrt(rate * (1 - rate) / outcomes[USERS])):
        reasons.append(
            f"realised hit rate {outcomes[BEST_HOUR_HIT_RATE]:.3f} is {missed:.3f} below the evaluation's, "
            f"limit {limits.hit_rate_decrease:.3f}"
        )
    return reasons
