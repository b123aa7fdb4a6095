"""Who comes: the probability that a known user comes on a date, judged beside its baselines."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.evaluation.bootstrap import Interval, interval, resampled_sums
from visitcast.evaluation.groups import FEWEST_USERS
from visitcast.evaluation.ratios import ratios, tenths
from visitcast.evaluation.user_dates import ACTIVE_DAYS, UserDates, correct_by_closed_dates, size
from visitcast.metrics import SMALLEST_PROBABILITY

RECENCY_STARTS: Final = (1, 2, 4, 8, 15, 31, 91)
"""First number of days since the last visit day of each group."""

_MODEL: Final = "model"


def score_visits(pairs: UserDates) -> dict[str, Any]:
    """Score the probability of coming, beside its baselines.

    Returns
    -------
    dict
        See ``visits`` in docs/evaluation.md.
    """
    everybody = np.ones(len(pairs.user), dtype=bool)
    active = pairs.absent_days <= ACTIVE_DAYS
    parts, recent = tenths(pairs.probability, pairs.weight), _by_recency(pairs)
    expected: dict[Hashable, tuple[NDArray[np.float64], NDArray[np.bool_]]] = {
        _MODEL: (pairs.probability, everybody),
        "active": (pairs.probability, active),
        "corrected": (correct_by_closed_dates(pairs).probability, everybody),
        **{name: (rate, everybody) for name, rate in pairs.rates.items()},
        **{("tenth", number): (pairs.probability, rows) for number, rows in enumerate(parts)},
        **{("recency", name): (pairs.probability, rows) for name, rows in recent.items()},
    }
    found = ratios(pairs, pairs.came, expected)

    def scores(key: Hashable) -> dict[str, Any]:
        probability, rows = expected[key]
        return {**_score_probability(probability[rows], pairs.came[rows], pairs.weight[rows]), **found[key]}

    return {
        **size(pairs),
        **scores(_MODEL),
        "baselines": {name: scores(name) for name in pairs.rates},
        "differences": _differences(pairs),
        "tenths": [found["tenth", number] for number in range(len(parts))],
        "by_recency": [{"name": name, **scores(("recency", name))} for name in recent],
        "active": scores("active"),
        "corrected": found["corrected"],
    }


def _score_probability(
    probability: NDArray[np.float64], came: NDArray[np.bool_], weight: NDArray[np.float64]
) -> dict[str, float | None]:
    if not len(came):
        return {"log_loss": None, "brier": None, "auc": None}
    return {
        "log_loss": float(np.average(_log_losses(probability, came), weights=weight)),
        "brier": float(np.average((probability - came) ** 2, weights=weight)),
        "auc": area_under_curve(probability, came, weight),
    }


def area_under_curve(
    score: NDArray[np.float64], positive: NDArray[np.bool_], weight: NDArray[np.float64]
) -> float | None:
    """Return how often a positive has a higher score than a negative, a tie counting half; None without both."""
    distinct, place = np.unique(score, return_inverse=True)
    positives = np.bincount(place, weight * positive, minlength=len(distinct))
    negatives = np.bincount(place, weight * ~positive, minlength=len(distinct))
    if not positives.any() or not negatives.any():
        return None
    below = np.cumsum(negatives) - negatives / 2
    return float(positives @ below / (positives.sum() * negatives.sum()))


def _log_losses(probability: NDArray[np.float64], came: NDArray[np.bool_]) -> NDArray[np.float64]:
    p = probability.clip(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return np.asarray(-np.where(came, np.log(p), np.log1p(-p)))


def _differences(pairs: UserDates) -> dict[str, Interval | None]:
    """Log loss of the probability minus each baseline's, paired, by user."""
    if len(np.unique(pairs.user)) < FEWEST_USERS:
        return dict.fromkeys(pairs.rates)
    own = _log_losses(pairs.probability, pairs.came)
    differences = {name: own - _log_losses(rate, pairs.came) for name, rate in pairs.rates.items()}
    columns = {name: pairs.weight * rows for name, rows in differences.items()}
    sums = resampled_sums([*columns.items(), ("", pairs.weight)], pairs.user)
    return {
        name: interval(float(rows.sum() / pairs.weight.sum()), sums[name] / sums[""]) for name, rows in columns.items()
    }


def _by_recency(pairs: UserDates) -> dict[str, NDArray[np.bool_]]:
    group = np.searchsorted(RECENCY_STARTS, pairs.absent_days, side="right") - 1
    lasts = ["" if end - start == 1 else f"–{end - 1}" for start, end in pairwise(RECENCY_STARTS)]
    names = [f"{start}{last}" for start, last in zip(RECENCY_STARTS, [*lasts, " or more"], strict=True)]
    return {name: group == number for number, name in enumerate(names) if (group == number).any()}
