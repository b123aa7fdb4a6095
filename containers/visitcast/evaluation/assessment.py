"""Assemble the contents of evaluation.json. Pure: outcomes of forecasts in, plain values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.evaluation import comparison, gate, groups
from visitcast.metrics import LOG_LOSS, Outcomes, reliability, summarise
from visitcast.model.baselines import TUNED_HISTOGRAM
from visitcast.training.folds import CrossValidation

PRODUCTION: Final = "production"


@dataclass(frozen=True)
class Contest:
    """Forecasters on the same test rows.

    Attributes
    ----------
    users : int64 array [rows]
        User of each row.
    model : Outcomes
        The candidate's.
    best_hour_chance : float32 array [rows]
        The candidate's chance of a visit in the best hour.
    baselines : mapping
        Outcomes by name, including the tuned histogram's.
    production : Outcomes or None
        The production model's; None if there is none that can be compared.
    not_compared : str
        Why `production` is None.
    """

    users: NDArray[np.int64]
    model: Outcomes
    best_hour_chance: NDArray[np.float32]
    baselines: Mapping[str, Outcomes]
    production: Outcomes | None = None
    not_compared: str = gate.NO_PRODUCTION


def assess(
    contest: Contest,
    groupings: dict[str, groups.Masks],
    cross_validation: CrossValidation | None,
    limits: gate.Limits,
) -> dict[str, Any]:
    """Score, compare and judge the candidate.

    Parameters
    ----------
    contest : Contest
        The forecasters' outcomes.
    groupings : dict
        Result of :func:`visitcast.evaluation.groups.group_rows`.
    cross_validation : CrossValidation or None
        None if the run has no folds.
    limits : Limits
        The gate's.

    Returns
    -------
    dict
        Parts of evaluation.json by key; see docs/evaluation.md.
    """
    model = summarise(contest.model)
    baselines = {name: summarise(outcomes) for name, outcomes in contest.baselines.items()}
    rivals = dict(contest.baselines)
    if contest.production is not None:
        rivals[PRODUCTION] = contest.production
    compared = comparison.compare(contest.model, rivals, contest.users)
    to_production = compared.differences.pop(PRODUCTION, None)
    evidence = gate.Evidence(
        model, baselines, compared.differences, to_production, contest.not_compared, cross_validation
    )
    verdict = gate.judge(evidence, limits)
    tuned = contest.baselines[TUNED_HISTOGRAM]
    found: dict[str, Any] = _plain(
        {
            "model": model,
            "intervals": compared.intervals,
            "baselines": baselines,
            "differences": compared.differences,
            "groups": groups.score_groups(groupings, contest.model, tuned, contest.users),
            "reliability": _reliability(contest),
            "production": None
            if contest.production is None or to_production is None
            else {
                "metrics": summarise(contest.production),
                "log_loss_difference": to_production[LOG_LOSS],
                "differences": to_production,
            },
            "cross_validation": cross_validation,
            "gate": verdict,
        }
    )
    return found


def _reliability(contest: Contest) -> dict[str, Any]:
    """Compare forecast with observed shares: of the likeliest first hour, and of a visit in the best hour."""
    confidence = contest.model.confidence
    return {
        "first_visit_hour": [] if confidence is None else reliability(confidence, contest.model.likeliest_right),
        "best_hour": reliability(contest.best_hour_chance, contest.model.hit),
    }


def _plain(value: Any) -> Any:
    """Turn dataclasses, however deep in dicts and lists, into dicts."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
