"""Decide whether a model may go into production. Pure: numbers in, verdict out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from visitcast.evaluation.comparison import Differences
from visitcast.metrics import LOG_LOSS, MAE_HOURS, METRICS, RMSE_HOURS, Scores
from visitcast.training.folds import CrossValidation

NO_PRODUCTION = "There is no production model to compare with."


@dataclass(frozen=True, slots=True)
class Limits:
    """Demands on a model.

    Attributes
    ----------
    max_rmse_hours, max_mae_hours : float or None
        Absolute limits in hours, included; None = no limit.
    must_beat : tuple of str
        Baselines whose mean log loss must be higher than the model's, and so clearly that the paired 95% interval
        excludes a model that is worse by more than the margin. If a baseline gives no probabilities, its mean absolute
        error must be higher, without a margin.
    must_hold_in_cross_validation : bool
        Whether these baselines must be beaten in the mean over the folds too.
    non_inferiority_margin : float
        Nats by which the model may at most be worse than the production model or a baseline, at the upper end of the
        paired 95% interval.
    """

    max_rmse_hours: float | None = None
    max_mae_hours: float | None = None
    must_beat: tuple[str, ...] = ()
    must_hold_in_cross_validation: bool = False
    non_inferiority_margin: float = 0.005


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence about a candidate.

    Attributes
    ----------
    model : Scores
        Metrics of the candidate on the test rows.
    baselines : mapping
        Metrics of each baseline on the same rows.
    baseline_differences : mapping
        Candidate minus each baseline, paired, by user.
    production_difference : Differences or None
        Candidate minus the production model; None if there is none that can be compared.
    not_compared : str
        Why there is no such difference. In that case only the baselines decide.
    cross_validation : CrossValidation or None
        None when the run has no folds.
    """

    model: Scores
    baselines: Mapping[str, Scores]
    baseline_differences: Mapping[str, Differences] = field(default_factory=dict)
    production_difference: Differences | None = None
    not_compared: str = NO_PRODUCTION
    cross_validation: CrossValidation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Outcome of the gate; ``reasons`` say why a model was rejected, or what it has shown if it passed."""

    passed: bool
    reasons: list[str]
    within_absolute_limits: bool
    beats_baselines: bool
    beats_production: bool
    holds_in_cross_validation: bool


def judge(evidence: Evidence, limits: Limits) -> Verdict:
    """Judge a candidate."""
    model = evidence.model
    numbers = [
        (value is not None and math.isfinite(value), f"The model's {name} is {value}, not a finite number.")
        for name in METRICS
        for value in [model.get(name)]
    ]
    broken = [text for good, text in numbers if not good]
    if broken:
        return Verdict(
            passed=False,
            reasons=broken,
            within_absolute_limits=False,
            beats_baselines=False,
            beats_production=False,
            holds_in_cross_validation=False,
        )
    absolute = [
        check
        for check in (
            _within(RMSE_HOURS, model, limits.max_rmse_hours),
            _within(MAE_HOURS, model, limits.max_mae_hours),
        )
        if check is not None
    ]
    relative = [_beats(evidence, name, limits.non_inferiority_margin) for name in limits.must_beat]
    production = [_not_inferior(evidence, limits.non_inferiority_margin)]
    folds = _hold(evidence.cross_validation, limits.must_beat) if limits.must_hold_in_cross_validation else []
    checks = [*absolute, *relative, *production, *folds]
    passed = all(good for good, _ in checks)
    return Verdict(
        passed=passed,
        reasons=[text for good, text in checks if good == passed],
        within_absolute_limits=all(good for good, _ in absolute),
        beats_baselines=all(good for good, _ in relative),
        beats_production=production[0][0],
        holds_in_cross_validation=all(good for good, _ in folds),
    )


Check = tuple[bool, str]
"""Whether a demand is met, and a sentence with its numbers."""


def _within(name: str, model: Scores, limit: float | None) -> Check | None:
    if limit is None:
        return None
    value = model[name] or 0.0
    good = value <= limit
    return good, f"{name} {value:.3f} is {'within' if good else 'above'} the limit {limit:.3f}."


def _beats(evidence: Evidence, name: str, margin: float) -> Check:
    in_nats = evidence.baselines[name][LOG_LOSS] is not None
    metric, allowed = (LOG_LOSS, margin) if in_nats else (MAE_HOURS, 0.0)
    difference = evidence.baseline_differences[name][metric]
    if difference is None:
        return False, f"There is no {metric} to compare with {name}'s."
    own, other = evidence.model[metric], evidence.baselines[name][metric]
    figures = (
        f"{metric} {own:.4f} against {name}'s {other:.4f}: difference {difference.mean:+.4f} "
        f"(95% interval {difference.low:+.4f} to {difference.high:+.4f}):"
    )
    if difference.mean >= 0:
        return False, f"{figures} not better."
    if difference.high > allowed:
        return False, f"{figures} it may be worse by more than the margin {allowed:.4f}."
    return True, f"{figures} better."


def _not_inferior(evidence: Evidence, margin: float) -> Check:
    if evidence.production_difference is None:
        return True, evidence.not_compared
    difference = evidence.production_difference[LOG_LOSS]
    if difference is None:
        return False, f"There is no {LOG_LOSS} to compare with the production model's."
    good = difference.high <= margin
    return good, (
        f"{LOG_LOSS} minus the production model's is {difference.mean:+.4f} "
        f"(95% interval {difference.low:+.4f} to {difference.high:+.4f}): "
        f"{'not worse' if good else 'it may be worse'} by more than the margin {margin:.4f}."
    )


def _hold(cross_validation: CrossValidation | None, names: tuple[str, ...]) -> list[Check]:
    if cross_validation is None:
        return [
            (False, "The model must hold in cross-validation, but the run has no folds: set CrossValidation.Folds.")
        ]
    return [_holds_against(cross_validation, name) for name in names]


def _holds_against(cross_validation: CrossValidation, name: str) -> Check:
    if name not in cross_validation.differences:
        return True, f"{name} is not fitted in the folds: it is compared with on the test rows alone."
    mean = cross_validation.differences[name].mean
    metric = MAE_HOURS if mean[LOG_LOSS] is None else LOG_LOSS
    difference = mean[metric]
    good = difference is not None and difference < 0
    return good, (
        f"In the mean over {len(cross_validation.folds)} folds {metric} is {difference:+.4f} against {name}'s: "
        f"{'better' if good else 'not better'}."
    )
