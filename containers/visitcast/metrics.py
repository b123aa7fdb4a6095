"""Metrics of the evaluation protocol. The only place that names a metric.

Hours are 0..23. Probabilities are [rows, 24] and sum to 1 over the hours.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.schema import HOURS

LOG_LOSS: Final = "log_loss"
BEST_HOUR_HIT_RATE: Final = "best_hour_hit_rate"
TOP1: Final = "top1"
WITHIN_ONE_HOUR: Final = "within_one_hour"
CIRCULAR_MAE_HOURS: Final = "circular_mae_hours"
MAE_HOURS: Final = "mae_hours"
RMSE_HOURS: Final = "rmse_hours"
ECE: Final = "ece"
METRICS: Final = (
    LOG_LOSS,
    BEST_HOUR_HIT_RATE,
    TOP1,
    WITHIN_ONE_HOUR,
    CIRCULAR_MAE_HOURS,
    MAE_HOURS,
    RMSE_HOURS,
    ECE,
)

Scores = dict[str, float | None]
"""A value for each of ``METRICS``; None where a forecaster gives no probabilities."""

ECE_BINS: Final = 15
SMALLEST_PROBABILITY: Final = 1e-12

_HOUR = np.arange(HOURS)
CIRCULAR_DISTANCE: Final[NDArray[np.int64]] = np.minimum(
    np.abs(_HOUR[:, None] - _HOUR), HOURS - np.abs(_HOUR[:, None] - _HOUR)
)
"""Hours between two hours of the day, the short way round the clock, [24, 24]."""


def log_losses(probabilities: NDArray[Any], first_hour: NDArray[Any]) -> NDArray[np.float64]:
    """Negative log probability (nats) of the actual hour, per row."""
    hit = probabilities[np.arange(len(first_hour)), first_hour].astype(np.float64)
    total = probabilities.sum(axis=1, dtype=np.float64)
    losses: NDArray[np.float64] = -np.log(np.maximum(hit / total, SMALLEST_PROBABILITY))
    return losses


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How the forecast of each row turned out; every metric is made of sums of these.

    Attributes
    ----------
    log_loss : float64 array [rows] or None
        Nats; None where a forecaster gives no probabilities.
    hit : bool array [rows]
        Whether the user visited in the best hour.
    top1 : bool array [rows]
        Whether the first visit fell in the forecast hour.
    within_one_hour : bool array [rows]
        The same, at most one hour off on the circle.
    circular_error, absolute_error, squared_error : float64 arrays [rows]
        Hours, hours and squared hours between forecast and first visit.
    confidence : float64 array [rows] or None
        Probability of the likeliest hour; None without probabilities.
    likeliest_right : bool array [rows]
        Whether the first visit fell in the likeliest hour.
    """

    log_loss: NDArray[np.float64] | None
    hit: NDArray[np.bool_]
    top1: NDArray[np.bool_]
    within_one_hour: NDArray[np.bool_]
    circular_error: NDArray[np.float64]
    absolute_error: NDArray[np.float64]
    squared_error: NDArray[np.float64]
    confidence: NDArray[np.float64] | None
    likeliest_right: NDArray[np.bool_]


def probability_outcomes(
    probabilities: NDArray[Any],
    first_hour: NDArray[Any],
    hourly_visits: NDArray[np.int32],
    best_hour: NDArray[Any] | None = None,
) -> Outcomes:
    """Compare a forecast distribution of the first-visit hour with the actual visits.

    Each metric gets the point that is best for it: the mean for RMSE, the median for MAE, the circular median for the
    circular MAE, the middle of the likeliest three hours for the share within one hour, else the mode.

    Parameters
    ----------
    probabilities : float array [rows, 24]
        Forecast of the first-visit hour.
    first_hour : int array [rows]
        Hour of the actual first visit.
    hourly_visits : int32 array [rows]
        Mask of the hours visited that day.
    best_hour : int array [rows], optional
        Hour to send the notification at, where a separate estimate of the visited hours gives it. Default: the
        distribution's mode.
    """
    first_hour = first_hour.astype(np.int64)
    P = probabilities / probabilities.sum(axis=1, keepdims=True)
    mode = P.argmax(axis=1)
    widest = (P + np.roll(P, 1, axis=1) + np.roll(P, -1, axis=1)).argmax(axis=1)
    mean = P @ _HOUR
    median = (np.cumsum(P, axis=1) >= 0.5).argmax(axis=1)
    circular_median = (P @ CIRCULAR_DISTANCE).argmin(axis=1)
    return Outcomes(
        log_loss=log_losses(probabilities, first_hour),
        hit=_hits(mode if best_hour is None else best_hour, hourly_visits),
        top1=mode == first_hour,
        within_one_hour=CIRCULAR_DISTANCE[widest, first_hour] <= 1,
        circular_error=CIRCULAR_DISTANCE[circular_median, first_hour].astype(np.float64),
        absolute_error=np.abs(median - first_hour).astype(np.float64),
        squared_error=((mean - first_hour) ** 2).astype(np.float64),
        confidence=P.max(axis=1).astype(np.float64),
        likeliest_right=mode == first_hour,
    )


def point_outcomes(hours: NDArray[Any], first_hour: NDArray[Any], hourly_visits: NDArray[np.int32]) -> Outcomes:
    """Compare one forecast hour, whole or fractional and without probabilities, with the actual visits.

    Parameters
    ----------
    hours : array [rows]
        Forecast hour, clipped to 0..23. The shares and the circular MAE use the nearest whole hour.
    first_hour : int array [rows]
        Hour of the actual first visit.
    hourly_visits : int32 array [rows]
        Mask of the hours visited that day.
    """
    first_hour = first_hour.astype(np.int64)
    point = np.clip(hours.astype(np.float64), 0, HOURS - 1)
    nearest = np.rint(point).astype(np.int64)
    distance = CIRCULAR_DISTANCE[nearest, first_hour]
    return Outcomes(
        log_loss=None,
        hit=_hits(nearest, hourly_visits),
        top1=nearest == first_hour,
        within_one_hour=distance <= 1,
        circular_error=distance.astype(np.float64),
        absolute_error=np.abs(point - first_hour),
        squared_error=(point - first_hour) ** 2,
        confidence=None,
        likeliest_right=nearest == first_hour,
    )


def _hits(best_hour: NDArray[Any], hourly_visits: NDArray[np.int32]) -> NDArray[np.bool_]:
    return ((hourly_visits >> best_hour.astype(np.int32)) & 1).astype(bool)


def select(outcomes: Outcomes, rows: NDArray[Any]) -> Outcomes:
    """Keep some rows, given as a mask or as numbers."""
    kept: dict[str, Any] = {
        field.name: None if (values := getattr(outcomes, field.name)) is None else values[rows]
        for field in fields(Outcomes)
    }
    return Outcomes(**kept)


def row_losses(outcomes: Outcomes) -> dict[str, NDArray[Any] | None]:
    """Return the values whose mean is the metric; ``rmse_hours`` is the mean's root, and ``ece`` is left out."""
    return {
        LOG_LOSS: outcomes.log_loss,
        BEST_HOUR_HIT_RATE: outcomes.hit,
        TOP1: outcomes.top1,
        WITHIN_ONE_HOUR: outcomes.within_one_hour,
        CIRCULAR_MAE_HOURS: outcomes.circular_error,
        MAE_HOURS: outcomes.absolute_error,
        RMSE_HOURS: outcomes.squared_error,
    }


def summarise(outcomes: Outcomes) -> Scores:
    """Turn the rows' outcomes into metrics."""
    means = {name: None if rows is None else float(rows.mean()) for name, rows in row_losses(outcomes).items()}
    ece = (
        None
        if outcomes.confidence is None
        else expected_calibration_error(outcomes.confidence, outcomes.likeliest_right)
    )
    scores = {**means, RMSE_HOURS: float(np.sqrt(outcomes.squared_error.mean())), ECE: ece}
    return {name: scores[name] for name in METRICS}


def score_probabilities(
    probabilities: NDArray[Any],
    first_hour: NDArray[Any],
    hourly_visits: NDArray[np.int32],
    best_hour: NDArray[Any] | None = None,
) -> Scores:
    """Score a forecast distribution; parameters as of :func:`probability_outcomes`."""
    return summarise(probability_outcomes(probabilities, first_hour, hourly_visits, best_hour))


def calibration_bin(confidence: NDArray[Any]) -> NDArray[np.int64]:
    """Which of the ``ECE_BINS`` equal-width bins each confidence falls in, [rows]."""
    return np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)


def expected_calibration_error(confidence: NDArray[Any], correct: NDArray[np.bool_]) -> float:
    """Mean gap between confidence and accuracy over ``ECE_BINS`` equal-width bins, weighted by rows.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    gap = np.bincount(calibration_bin(confidence), weights=correct.astype(np.float64) - confidence, minlength=ECE_BINS)
    return float(np.abs(gap).sum() / len(confidence))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows whose forecast chance lies in ``[low, high)``: the mean chance, and how often it came true."""

    low: float
    high: float
    rows: int
    forecast: float
    observed: float


def reliability(confidence: NDArray[Any], correct: NDArray[np.bool_]) -> list[ReliabilityBin]:
    """Compare chances with outcomes, in the bins of the expected calibration error; empty bins are left out."""
    bins = calibration_bin(confidence)
    rows = np.bincount(bins, minlength=ECE_BINS)
    forecast, observed = (
        np.bincount(bins, weights=value.astype(np.float64), minlength=ECE_BINS) / np.maximum(rows, 1)
        for value in (confidence, correct)
    )
    return [
        ReliabilityBin(k / ECE_BINS, (k + 1) / ECE_BINS, int(rows[k]), float(forecast[k]), float(observed[k]))
        for k in np.flatnonzero(rows)
    ]
