"""Intervals of the model's metrics, and its paired differences to every other forecaster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

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
"""Metrics that are compared: the one to choose models by, the one that pushes depend on, and the article's."""

_ROWS: Final = ("rows", "")
_MODEL: Final = "model"

Differences = dict[str, Interval | None]
"""Per metric of ``COMPARED`` the model's value minus another forecaster's; None where either gives no probabilities."""


@dataclass(frozen=True)
class Comparison:
    """The model's metrics with intervals, and its differences to each rival by name."""

    intervals: dict[str, Interval]
    differences: dict[str, Differences]


def compare(model: Outcomes, rivals: Mapping[str, Outcomes], users: NDArray[np.int64]) -> Comparison:
    """Bootstrap all figures at once, over the same resampled users.

    Parameters
    ----------
    model : Outcomes
        The model's, with probabilities.
    rivals : mapping
        Outcomes of other forecasters on the same rows.
    users : int64 array [rows]
        User of each row.
    """
    own, theirs = row_losses(model), {rival: row_losses(outcomes) for rival, outcomes in rivals.items()}

    def columns() -> Iterator[tuple[tuple[str, str], NDArray[Any]]]:
        yield _ROWS, np.ones(len(users))
        yield from (((_MODEL, metric), rows) for metric, rows in own.items() if rows is not None)
        yield from (((ECE, number), gap) for number, gap in _calibration_gaps(model))
        for rival, losses in theirs.items():
            for metric in COMPARED:
                rows, others = own[metric], losses[metric]
                if rows is not None and others is not None:
                    yield (rival, metric), rows.astype(np.float64) - others

    sums = resampled_sums(columns(), users)
    means = {key: column / sums[_ROWS] for key, column in sums.items()}
    scores = summarise(model)
    intervals = {
        metric: interval(scores[metric] or 0.0, np.sqrt(drawn) if metric == RMSE_HOURS else drawn)
        for (forecaster, metric), drawn in means.items()
        if forecaster == _MODEL
    }
    if model.confidence is not None:
        gaps = [np.abs(drawn) for (name, _), drawn in means.items() if name == ECE]
        intervals[ECE] = _centred(scores[ECE] or 0.0, np.sum(gaps, axis=0))
    differences: dict[str, Differences] = {}
    for rival, outcomes in rivals.items():
        others = summarise(outcomes)
        differences[rival] = {
            metric: interval((scores[metric] or 0.0) - (others[metric] or 0.0), means[rival, metric])
            if (rival, metric) in means
            else None
            for metric in COMPARED
        }
    return Comparison(intervals, differences)


def _calibration_gaps(outcomes: Outcomes) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield for each calibration bin what each row adds to the gap between accuracy and confidence."""
    if outcomes.confidence is not None:
        gap = outcomes.likeliest_right - outcomes.confidence
        bins = calibration_bin(outcomes.confidence)
        for number in range(ECE_BINS):
            yield f"{number}", np.where(bins == number, gap, 0.0)


def _centred(figure: float, resampled: NDArray[np.float64]) -> Interval:
    """Shift the resamples onto the figure: a resample's noise can only add to a sum of absolute gaps."""
    return interval(figure, np.maximum(resampled + figure - resampled.mean(), 0.0))
