"""How sure the model's figures are: intervals of its metrics, and paired differences to every other forecaster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.evaluation.bootstrap import Interval, interval, resampled_sums
from visitcast.metrics import (
    BEST_HOUR_HIT_RATE,
    ECE,
    ECE_BINS,
    LOG_LOSS,
    MAE_HOURS,
    RMSE_HOURS,
    Outcomes,
    calibration_bin,
    row_losses,
    summarise,
)

COMPARED: Final = (LOG_LOSS, BEST_HOUR_HIT_RATE, MAE_HOURS)
"""Metrics whose differences are given: the one to choose by, the one that pushes are sent for, the article's."""

Differences = dict[str, Interval | None]
"""Per metric of ``COMPARED`` the model's value minus another forecaster's; None where either gives no probabilities."""


@dataclass(frozen=True)
class Comparison:
    """The model's metrics with intervals, and its differences to each rival by name."""

    intervals: dict[str, Interval]
    differences: dict[str, Differences]


def compare(model: Outcomes, rivals: Mapping[str, Outcomes], users: NDArray[np.int64]) -> Comparison:
    """Bootstrap everything at once: all figures see the same resampled users.

    Parameters
    ----------
    model : Outcomes
        The model's, which gives probabilities.
    rivals : mapping
        Outcomes of other forecasters on the same rows.
    users : int64 array [rows]
        User of each row.
    """
    scores, theirs = summarise(model), {rival: summarise(outcomes) for rival, outcomes in rivals.items()}
    own = {name: rows for name, rows in row_losses(model).items() if rows is not None}
    pairs = [
        (rival, metric, rows)
        for rival, outcomes in rivals.items()
        for metric in COMPARED
        if (rows := row_losses(outcomes)[metric]) is not None
    ]
    # Made one at a time: all columns together would be many times the outcomes.
    paired = (own[metric].astype(np.float64) - rows for _, metric, rows in pairs)
    sums = resampled_sums(chain([np.ones(len(users))], own.values(), _calibration_gaps(model), paired), users)
    means = iter((sums[:, 1:] / sums[:, :1]).T)

    drawn = {name: next(means) for name in own}
    drawn[RMSE_HOURS] = np.sqrt(drawn[RMSE_HOURS])
    intervals = {name: interval(scores[name] or 0.0, values) for name, values in drawn.items()}
    if model.confidence is not None:
        resampled_ece = np.sum([np.abs(next(means)) for _ in range(ECE_BINS)], axis=0)
        intervals[ECE] = _centred(scores[ECE] or 0.0, resampled_ece)
    differences: dict[str, Differences] = {rival: dict.fromkeys(COMPARED) for rival in rivals}
    for rival, metric, _ in pairs:
        difference = (scores[metric] or 0.0) - (theirs[rival][metric] or 0.0)
        differences[rival][metric] = interval(difference, next(means))
    return Comparison(intervals, differences)


def _calibration_gaps(outcomes: Outcomes) -> Iterator[NDArray[np.float64]]:
    """Per calibration bin what each row adds to the gap between accuracy and confidence."""
    if outcomes.confidence is not None:
        gap = outcomes.likeliest_right - outcomes.confidence
        bins = calibration_bin(outcomes.confidence)
        for number in range(ECE_BINS):
            yield np.where(bins == number, gap, 0.0)


def _centred(figure: float, resampled: NDArray[np.float64]) -> Interval:
    """Shift the resamples onto the figure: a resample's noise can only add to a sum of absolute gaps."""
    return interval(figure, np.maximum(resampled + figure - resampled.mean(), 0.0))
