"""Detect drift: changed users or forecasts since the last run, and worse outcomes than the evaluation measured.

Two comparisons. *Distributions*: the population stability index (PSI) of the model's inputs and outputs, this run
against the last. Siddiqi, Credit Risk Scorecards, Wiley 2006: below 0.1 means no change, above 0.25 a large one.
*Outcomes*: log loss and hit rate of a forecast date that is over, against the evaluation of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from visitcast.forecasting.profile import Profile
from visitcast.metrics import BEST_HOUR_HIT_RATE, LOG_LOSS

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
    minimum_rows : int
        With fewer outcomes no limit applies to them.
    """

    psi: float = 0.25
    log_loss_increase: float = 0.15
    hit_rate_decrease: float = 0.05
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
        Index of each distribution; empty on the first run.
    realised : dict or None
        ``rows``, ``log_loss`` and ``best_hour_hit_rate`` of the date that is over.
    """

    alarm: bool
    reasons: list[str]
    psi: dict[str, float] = field(default_factory=dict)
    realised: dict[str, float] | None = None


def psi(before: Sequence[float], now: Sequence[float]) -> float:
    """Compute the population stability index: sum over the bins of ``(q - p) * log(q / p)``.

    Half a user is added to every bin, so that an empty one does not give infinity.
    """
    p, q = (np.asarray(counts, dtype=np.float64) + _SMOOTHING for counts in (before, now))
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def metrics(verdict: Verdict, environment: str) -> list[dict[str, Any]]:
    """Return a verdict as CloudWatch's ``MetricData``; unknown values are left out.

    Parameters
    ----------
    verdict : Verdict
        What :func:`judge` returned.
    environment : str
        Value of the dimension ``Environment``.
    """
    values: dict[str, float] = {LIMITS_PASSED: len(verdict.reasons)}
    if verdict.psi:
        values["drift_largest_psi"] = max(verdict.psi.values())
    if verdict.realised is not None:
        values |= {f"realised_{name}": verdict.realised[name] for name in (LOG_LOSS, BEST_HOUR_HIT_RATE)}
    dimensions = [{"Name": "Environment", "Value": environment}]
    return [{"MetricName": name, "Value": value, "Dimensions": dimensions} for name, value in values.items()]


def judge(
    now: Profile,
    before: Profile | None,
    realised: Mapping[str, float] | None,
    evaluated: Mapping[str, float] | None,
    limits: Limits,
) -> Verdict:
    """Compare a run with the last one, and a date that is over with the evaluation.

    Parameters
    ----------
    now, before : Profile
        Of this run and of the last; None on the first.
    realised : mapping or None
        ``rows``, ``log_loss`` and ``best_hour_hit_rate`` of the last date that is over.
    evaluated : mapping or None
        ``log_loss`` and ``best_hour_hit_rate`` of the model on its test rows.
    limits : Limits
        Limits of the alarm.
    """
    shifts = {name: psi(before[name], now[name]) for name in now if name in (before or {})} if before else {}
    reasons = [
        f"{name} has shifted: PSI {value:.2f}, limit {limits.psi:.2f}"
        for name, value in shifts.items()
        if value > limits.psi
    ]
    if realised is not None and evaluated is not None and realised["rows"] >= limits.minimum_rows:
        worse = realised[LOG_LOSS] - evaluated[LOG_LOSS]
        if worse > limits.log_loss_increase:
            reasons.append(
                f"realised log loss {realised[LOG_LOSS]:.3f} is {worse:.3f} nats above the evaluation's, "
                f"limit {limits.log_loss_increase:.3f}"
            )
        missed = evaluated[BEST_HOUR_HIT_RATE] - realised[BEST_HOUR_HIT_RATE]
        if missed > limits.hit_rate_decrease:
            reasons.append(
                f"realised hit rate {realised[BEST_HOUR_HIT_RATE]:.3f} is {missed:.3f} below the evaluation's, "
                f"limit {limits.hit_rate_decrease:.3f}"
            )
    return Verdict(bool(reasons), reasons, shifts, dict(realised) if realised is not None else None)
