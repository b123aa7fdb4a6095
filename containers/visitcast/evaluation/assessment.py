"""Assemble the contents of evaluation.json. Pure: outcomes of forecasts in, plain values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.evaluation import comparison, gate, groups
from visitcast.evaluation.sends import score_sends
from visitcast.evaluation.user_dates import UserDates
from visitcast.evaluation.visits import score_visits
from visitcast.metrics import LOG_LOSS, Outcomes, reliability, select, summarise
from visitcast.model.baselines import TUNED_HISTOGRAM
from visitcast.training.folds import CrossValidation

PRODUCTION: Final = "production"
AS_SENT: Final = "as_sent"


@dataclass(frozen=True)
class Contest:
    """Forecasters on the same test rows, from the same knowledge of the users' histories.

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
    """

    users: NDArray[np.int64]
    model: Outcomes
    best_hour_chance: NDArray[np.float32]
    baselines: Mapping[str, Outcomes]


@dataclass(frozen=True)
class Rival:
    """The production model on those test rows that neither it nor the candidate has learnt from.

    Attributes
    ----------
    rows : bool array [rows]
        Which of the test rows these are.
    outcomes : Outcomes
        The production model's on them.
    """

    rows: NDArray[np.bool_]
    outcomes: Outcomes


@dataclass(frozen=True)
class Precedent:
    """What earlier models have shown.

    Attributes
    ----------
    production : Rival or None
        The model in production; None if there is none that can be compared.
    not_compared : str
        Why a model in production cannot be compared; empty if it was, or if none is in production.
    anchor_lead : float
        See :class:`visitcast.evaluation.gate.Evidence`.
    cross_validation : CrossValidation or None
        None if the run has no folds.
    """

    production: Rival | None = None
    not_compared: str = ""
    anchor_lead: float = 0.0
    cross_validation: CrossValidation | None = None


def assess(
    sent: Contest,
    whole: Contest,
    known_users: Outcomes,
    user_dates: UserDates,
    groupings: dict[str, groups.Masks],
    precedent: Precedent,
    limits: gate.Limits,
) -> dict[str, Any]:
    """Score, compare and judge the candidate.

    Parameters
    ----------
    sent : Contest
        Forecasts of the test rows as the schedule makes them. They decide.
    whole : Contest
        Forecasts of the same rows from the users' whole histories, up to the eve.
    known_users : Outcomes
        The candidate's as the schedule makes them, of all visit days whose user it knows.
    user_dates : UserDates
        Forecasts of known users on test dates, whether they came or not.
    groupings : dict
        Result of :func:`visitcast.evaluation.groups.group_rows`.
    precedent : Precedent
        Production model, anchor and folds.
    limits : Limits
        The gate's.

    Returns
    -------
    dict
        Parts of evaluation.json by key; see docs/evaluation.md.
    """
    in_whole, as_sent = _scores(whole), _scores(sent)
    difference = comparison.compare(sent.model, {"": whole.model}, sent.users).differences[""]
    production = None if precedent.production is None else _against(sent, precedent.production)
    evidence = gate.Evidence(
        as_sent["model"],
        as_sent["baselines"],
        as_sent["differences"],
        None if production is None else production["differences"],
        precedent.not_compared,
        precedent.anchor_lead,
        precedent.cross_validation,
    )
    found: dict[str, Any] = _plain(
        {
            **in_whole,
            AS_SENT: {
                **as_sent.pop("model"),
                **as_sent,
                "whole_history_difference": difference,
                "known_users": {"rows": len(known_users.hit), **summarise(known_users)},
            },
            "visits": score_visits(user_dates),
            "sends": score_sends(user_dates),
            "groups": groups.score_groups(groupings, sent.model, sent.baselines[TUNED_HISTOGRAM], sent.users),
            "reliability": _reliability(sent),
            PRODUCTION: production,
            "cross_validation": precedent.cross_validation,
            "gate": gate.judge(evidence, limits),
        }
    )
    return found


def _scores(contest: Contest) -> dict[str, Any]:
    """Score the candidate and the baselines, and compare them."""
    compared = comparison.compare(contest.model, contest.baselines, contest.users)
    return {
        "model": summarise(contest.model),
        "intervals": compared.intervals,
        "baselines": {name: summarise(outcomes) for name, outcomes in contest.baselines.items()},
        "differences": compared.differences,
    }


def _against(contest: Contest, rival: Rival) -> dict[str, Any]:
    """Compare the candidate with the production model."""
    own, users = select(contest.model, rival.rows), contest.users[rival.rows]
    compared = comparison.compare(own, {PRODUCTION: rival.outcomes}, users).differences[PRODUCTION]
    return {
        "rows": len(users),
        "metrics": summarise(rival.outcomes),
        "log_loss_difference": compared[LOG_LOSS],
        "differences": compared,
    }


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
