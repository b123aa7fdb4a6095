"""Decides whether a model may go to the endpoint. Pure: numbers in, verdict out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from visitcast.metrics import LOG_LOSS, MAE_HOURS, METRICS, RMSE_HOURS, Interval, Scores


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model must reach.

    Attributes
    ----------
    max_rmse_hours, max_mae_hours : float or None
        Absolute limits in hours, included; None = no limit.
    must_beat : tuple of str
        Baselines whose log loss must be higher than the model's; where a baseline gives no probabilities, its mean
        absolute error.
    non_inferiority_margin : float
        Nats by which the model may at most be worse than the production model, at the upper end of the 95% interval.
    """

    max_rmse_hours: float | None = None
    max_mae_hours: float | None = None
    must_beat: tuple[str, ...] = ()
    non_inferiority_margin: float = 0.005


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of the gate; ``reasons`` say why a model was rejected, or what a passed one has shown."""

    passed: bool
    reasons: list[str]
    within_absolute_limits: bool
    beats_baselines: bool
    beats_production: bool


def judge(model: Scores, baselines: Mapping[str, Scores], difference: Interval | None, limits: Limits) -> Verdict:
    """Judge a candidate.

    Parameters
    ----------
    model : Scores
        Metrics of the candidate on the test rows.
    baselines : mapping
        Metrics of each baseline on the same rows.
    difference : Interval or None
        Log loss of the candidate minus the production model's, paired, by user; None without a production model.
    limits : Limits
        What to reach.
    """
    numbers = [
        (value is not None and math.isfinite(value), f"The model's {name} is {value}, not a finite number.")
        for name in METRICS
        for value in [model.get(name)]
    ]
    broken = [text for good, text in numbers if not good]
    if broken:
        return Verdict(False, broken, False, False, False)
    absolute = [
        _within(RMSE_HOURS, model, limits.max_rmse_hours),
        _within(MAE_HOURS, model, limits.max_mae_hours),
    ]
    relative = [_beats(model, name, baselines) for name in limits.must_beat]
    production = [_not_inferior(difference, limits.non_inferiority_margin)]
    checks = [check for check in (*absolute, *relative, *production) if check is not None]
    passed = all(good for good, _ in checks)
    return Verdict(
        passed=passed,
        reasons=[text for good, text in checks if good == passed],
        within_absolute_limits=all(check[0] for check in absolute if check is not None),
        beats_baselines=all(good for good, _ in relative),
        beats_production=production[0][0],
    )


Check = tuple[bool, str]
"""Whether a demand is met, and a sentence with the numbers."""


def _within(name: str, model: Scores, limit: float | None) -> Check | None:
    if limit is None:
        return None
    value = model[name] or 0.0
    good = value <= limit
    return good, f"{name} {value:.3f} is {'within' if good else 'above'} the limit {limit:.3f}."


def _beats(model: Scores, name: str, baselines: Mapping[str, Scores]) -> Check:
    metric = MAE_HOURS if baselines[name][LOG_LOSS] is None else LOG_LOSS
    own, other = model[metric], baselines[name][metric]
    good = own is not None and other is not None and own < other
    verb = "beats" if good else "does not beat"
    return good, f"{metric} {own:.4f} {verb} {name}'s {other:.4f}."


def _not_inferior(difference: Interval | None, margin: float) -> Check:
    if difference is None:
        return True, "There is no production model to compare with."
    good = difference.high <= margin
    return good, (
        f"log_loss minus the production model's is {difference.mean:+.4f} "
        f"(95% interval {difference.low:+.4f} to {difference.high:+.4f}): "
        f"{'not worse' if good else 'it may be worse'} by more than the margin {margin:.4f}."
    )
