"""Metrics of the evaluation protocol, and the paired bootstrap by user. The only place that names a metric.

Hours are 0..23. Probabilities are [rows, 24] and sum to 1 over the hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.schema import HOURS

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
    """Negative log probability (nats) of the hour that came, per row."""
    hit = probabilities[np.arange(len(first_hour)), first_hour].astype(np.float64)
    total = probabilities.sum(axis=1, dtype=np.float64)
    losses: NDArray[np.float64] = -np.log(np.maximum(hit / total, SMALLEST_PROBABILITY))
    return losses


def score_probabilities(
    probabilities: NDArray[Any],
    first_hour: NDArray[Any],
    hourly_visits: NDArray[np.int32],
    best_hour: NDArray[Any] | None = None,
) -> Scores:
    """Score a forecast distribution of the first-visit hour.

    Each metric gets the point that is best for it: the mean for RMSE, the median for MAE, the circular median for the
    circular MAE, the middle of the likeliest three hours for the share within one hour, else the mode.

    Parameters
    ----------
    probabilities : float array [rows, 24]
        Forecast of the first-visit hour.
    first_hour : int array [rows]
        Hour of the first visit that came.
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
    return {
        LOG_LOSS: float(log_losses(probabilities, first_hour).mean()),
        BEST_HOUR_HIT_RATE: _hit_rate(mode if best_hour is None else best_hour, hourly_visits),
        TOP1: float((mode == first_hour).mean()),
        WITHIN_ONE_HOUR: float((CIRCULAR_DISTANCE[widest, first_hour] <= 1).mean()),
        CIRCULAR_MAE_HOURS: float(CIRCULAR_DISTANCE[circular_median, first_hour].mean()),
        MAE_HOURS: float(np.abs(median - first_hour).mean()),
        RMSE_HOURS: float(np.sqrt(((mean - first_hour) ** 2).mean())),
        ECE: expected_calibration_error(P.max(axis=1), mode == first_hour),
    }


def score_points(hours: NDArray[Any], first_hour: NDArray[Any], hourly_visits: NDArray[np.int32]) -> Scores:
    """Score a forecaster that names one hour, whole or fractional, and gives no probabilities.

    Parameters
    ----------
    hours : array [rows]
        Forecast hour, clipped to 0..23. The shares and the circular MAE use the nearest whole hour.
    first_hour : int array [rows]
        Hour of the first visit that came.
    hourly_visits : int32 array [rows]
        Mask of the hours visited that day.
    """
    first_hour = first_hour.astype(np.int64)
    point = np.clip(hours.astype(np.float64), 0, HOURS - 1)
    nearest = np.rint(point).astype(np.int64)
    distance = CIRCULAR_DISTANCE[nearest, first_hour]
    return {
        LOG_LOSS: None,
        BEST_HOUR_HIT_RATE: _hit_rate(nearest, hourly_visits),
        TOP1: float((nearest == first_hour).mean()),
        WITHIN_ONE_HOUR: float((distance <= 1).mean()),
        CIRCULAR_MAE_HOURS: float(distance.mean()),
        MAE_HOURS: float(np.abs(point - first_hour).mean()),
        RMSE_HOURS: float(np.sqrt(((point - first_hour) ** 2).mean())),
        ECE: None,
    }


def _hit_rate(best_hour: NDArray[Any], hourly_visits: NDArray[np.int32]) -> float:
    return float(((hourly_visits >> best_hour.astype(np.int32)) & 1).mean())


def expected_calibration_error(confidence: NDArray[Any], correct: NDArray[np.bool_]) -> float:
    """Mean gap between confidence and accuracy over ``ECE_BINS`` equal-width bins, weighted by rows.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    bins = np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    gap = np.bincount(bins, weights=correct.astype(np.float64) - confidence, minlength=ECE_BINS)
    return float(np.abs(gap).sum() / len(confidence))


@dataclass(frozen=True)
class Interval:
    """A mean and the two ends of its interval."""

    mean: float
    low: float
    high: float


def bootstrap_by_user(
    values: NDArray[Any], users: NDArray[np.int64], level: float = 0.95, draws: int = 2000, seed: int = 20
) -> Interval:
    """Interval of a mean over rows, resampling whole users, since rows of one user are alike.

    Parameters
    ----------
    values : float array [rows]
        For a paired comparison the difference of two forecasters' losses on the same rows.
    users : int64 array [rows]
        User of each row.
    level : float
        Coverage of the two-sided percentile interval.
    draws : int
        Resamples.
    seed : int
        Makes the interval reproducible.
    """
    _, user = np.unique(users, return_inverse=True)
    sums = np.bincount(user, weights=values)
    rows = np.bincount(user)
    # How often each user is drawn is multinomial: no row is ever copied.
    weights = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=draws)
    means = (weights @ sums) / (weights @ rows)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.mean(values)), float(low), float(high))
