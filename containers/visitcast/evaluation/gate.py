"""Decide whether a model may go into production. Pure: numbers in, verdict out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from visitcast.evaluation.bootstrap import Interval
from visitcast.evaluation.comparison import Differences
from visitcast.metrics import BEST_HOUR_HIT_RATE, LOG_LOSS, MAE_HOURS, METRICS, RMSE_HOURS, Scores
from visitcast.model.baselines import TUNED_HISTOGRAM
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
    kept_lead_share : float
        Share of the anchor's lead over the tuned histogram that the model must keep; 0 = no demand.
    """

    max_rmse_hours: float | None = None
    max_mae_hours: float | None = None
    must_beat: tuple[str, ...] = ()
    must_hold_in_cross_validation: bool = False
    non_inferiority_margin: float = 0.005
    kept_lead_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence about a candidate: figures of forecasts made as the schedule makes them.

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
        Why a model that is in production cannot be compared; empty if it was, or if none is in production. The tuned
        histogram then stands in for it.
    anchor_lead : float
        Lead over the tuned histogram, in nats, that the first accepted model had; 0 if no model had one yet.
    cross_validation : CrossValidation or None
        None when the run has no folds.
    """

    model: Scores
    baselines: Mapping[str, Scores]
    baseline_differences: Mapping[str, Differences] = field(default_factory=dict)
    production_difference: Differences | None = None
    not_compared: str = ""
    anchor_lead: float = 0.0
    cross_validation: CrossValidation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Outcome of the gate.

    Attributes
    ----------
    passed : bool
        Whether all demands are met.
    reasons : list of str
        Why the model was rejected, or what it has shown if it passed.
    within_absolute_limits, beats_baselines, beats_production, keeps_lead, hits_best_hour, holds_in_cross_validation
        Whether each kind of demand is met.
    anchor_lead : float
        Lead over the tuned histogram, in nats, that later models are held to if this one is accepted; 0 if none yet.
    """

    passed: bool
    reasons: list[str]
    within_absolute_limits: bool = False
    beats_baselines: bool = False
    beats_production: bool = False
    keeps_lead: bool = False
    hits_best_hour: bool = False
    holds_in_cross_validation: bool = False
    anchor_lead: float = 0.0


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
        return Verdict(passed=False, reasons=broken, anchor_lead=evidence.anchor_lead)
    absolute = [
        check
        for check in (
            _within(RMSE_HOURS, model, limits.max_rmse_hours),
            _within(MAE_HOURS, model, limits.max_mae_hours),
        )
        if check is not None
    ]
    margin = limits.non_inferiority_margin
    relative = [_beats(evidence, name, margin) for name in limits.must_beat]
    production = _not_worse_than_production(evidence, margin)
    lead = _keeps_lead(evidence, limits.kept_lead_share)
    hits = _hits(evidence)
    folds = _hold(evidence.cross_validation, limits.must_beat) if limits.must_hold_in_cross_validation else []
    checks = [*absolute, *relative, production, lead, hits, *folds]
    passed = all(good for good, _ in checks)
    notes = [evidence.not_compared] if evidence.not_compared else []
    return Verdict(
        passed=passed,
        reasons=notes + [text for good, text in checks if good == passed],
        within_absolute_limits=all(good for good, _ in absolute),
        beats_baselines=all(good for good, _ in relative),
        beats_production=production[0],
        keeps_lead=lead[0],
        hits_best_hour=hits[0],
        holds_in_cross_validation=all(good for good, _ in folds),
        anchor_lead=_anchor(evidence, limits.kept_lead_share),
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
    good, text = _against_baseline(evidence, name, metric, allowed)
    equal = evidence.model[metric] == evidence.baselines[name][metric]
    return good and not equal, text


def _against_baseline(evidence: Evidence, name: str, metric: str, margin: float) -> Check:
    difference = evidence.baseline_differences[name][metric]
    if difference is None:
        return False, f"There is no {metric} to compare with {name}'s."
    own, other = evidence.model[metric], evidence.baselines[name][metric]
    return _lower(f"{metric} {own:.4f} against {name}'s {other:.4f}", difference, margin)


def _lower(compared: str, difference: Interval, margin: float) -> Check:
    """Demand a difference that is not above zero, nor above the margin at the upper end of its interval."""
    figures = f"{compared}: difference {_figures(difference)}:"
    if difference.mean > 0:
        return False, f"{figures} worse."
    if difference.high > margin:
        return False, f"{figures} it may be worse by more than the margin {margin:.4f}."
    return True, f"{figures} {'better' if difference.mean < 0 else 'equal'}."


def _figures(difference: Interval) -> str:
    return f"{difference.mean:+.4f} (95% interval {difference.low:+.4f} to {difference.high:+.4f})"


def _not_worse_than_production(evidence: Evidence, margin: float) -> Check:
    if evidence.not_compared:
        return _against_baseline(evidence, TUNED_HISTOGRAM, LOG_LOSS, margin)
    if evidence.production_difference is None:
        return True, NO_PRODUCTION
    difference = evidence.production_difference[LOG_LOSS]
    if difference is None:
        return False, f"There is no {LOG_LOSS} to compare with the production model's."
    return _lower(f"{LOG_LOSS} against the production model's", difference, margin)


def _keeps_lead(evidence: Evidence, share: float) -> Check:
    """Demand a share of the anchor's lead.

    Each comparison with the production model may be won by chance, so that many models in a row could lose what no
    single one loses clearly. The anchor does not move with them.
    """
    lead, anchor = _lead(evidence).mean, evidence.anchor_lead
    if not anchor:
        return True, "No model had a certain lead over the tuned histogram yet that this one would have to keep."
    if not share:
        return True, f"The lead over the tuned histogram is {lead:+.4f}; no share of the first {anchor:+.4f} is asked."
    kept = lead >= share * anchor
    return kept, (
        f"The lead over the tuned histogram is {lead:+.4f} and was {anchor:+.4f} at first: "
        f"{'at least' if kept else 'less than'} the share {share:g} of it."
    )


def _anchor(evidence: Evidence, share: float) -> float:
    """Return the anchor for later models: the first certain lead, or this model's where no share is asked of it."""
    if evidence.anchor_lead and share:
        return evidence.anchor_lead
    lead = _lead(evidence)
    return lead.mean if lead.low > 0 else 0.0


def _lead(evidence: Evidence) -> Interval:
    """Return by how much the tuned histogram's log loss is higher, which is positive for a better model."""
    difference = evidence.baseline_differences[TUNED_HISTOGRAM][LOG_LOSS]
    if difference is None:
        raise ValueError("the tuned histogram has probabilities")
    return Interval(-difference.mean, -difference.high, -difference.low)


def _hits(evidence: Evidence) -> Check:
    difference = evidence.baseline_differences[TUNED_HISTOGRAM][BEST_HOUR_HIT_RATE]
    if difference is None:
        return False, f"There is no {BEST_HOUR_HIT_RATE} to compare with the tuned histogram's."
    good = difference.high >= 0
    return good, (
        f"{BEST_HOUR_HIT_RATE} minus the tuned histogram's is {_figures(difference)}: {'not ' if good else ''}worse."
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
