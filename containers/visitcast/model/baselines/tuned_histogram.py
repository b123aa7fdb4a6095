"""The strongest baseline: a user histogram with recency, a circular kernel and the day's type, tuned on validation.

Every bundle holds it too: it is small, needs no network, and no network beats it on little data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.calendar import is_weekend
from visitcast.data.dataset import Dataset, hour_flags
from visitcast.data.protocol import Split
from visitcast.data.schema import HOURS
from visitcast.features.histograms import Channel, shares, visit_days_behind
from visitcast.features.smoothing import smooth
from visitcast.metrics import log_losses
from visitcast.model.baselines import global_histogram
from visitcast.model.logits import Probabilities, later_visit

RECENT_DAYS: Final = 900
"""Priors come from the last days of the training part: the habits of all users drift over the years."""
UNIFORM_ROWS: Final = 480.0
"""Weight, in visit days, of equal shares of all hours in the prior of all days."""
DAY_TYPE_ROWS: Final = 500.0
"""Weight, in visit days, of the prior of all days in that of a type of day; some data have no weekend to learn from."""
PRIOR_ALONE: Final = 1e9
"""A weight of the prior beside which no history counts."""
SWEEPS: Final = 2
SMALLEST_GAIN: Final = 1e-5

# What the coordinate search tries, in this order.
GRID: Final[dict[str, tuple[float, ...]]] = {
    "prior_weight": (2, 4, 8, 12, 16),
    "kernel_width_hours": (0.6, 0.8, 1.0, 1.2),
    "weight_first_10": (0, 0.3, 1, 2),
    "weight_first_all": (0, 0.03, 0.1, 0.3),
    "weight_same_day_type": (0, 0.2, 0.5, 1, 2),
    "weight_30_calendar_days": (0, 0.5, 1, 2),
}
VISIT_GRID: Final[dict[str, tuple[float, ...]]] = {
    "visit_prior_weight": (2, 4, 8),
    "visit_kernel_width_hours": (0.5, 0.8, 1.2),
}


@dataclass(frozen=True)
class Parameters:
    """The fitted numbers.

    Attributes
    ----------
    prior : list of two lists [24]
        Shares of the first-visit hours over all users, on working days and on weekends.
    visit_prior : list [24]
        Share of all users' visit days on which the hour was visited.
    prior_weight : float
        Weight of the prior, in visit days.
    kernel_width_hours : float
        Standard deviation of the circular kernel.
    weight_... : float
        Weight of a channel beside ``FIRST_40``, whose weight is 1.
    visit_prior_weight, visit_kernel_width_hours : float
        The same for the visited hours.
    visit_channel : str
        Name of the channel of the visited hours.
    """

    prior: list[list[float]]
    visit_prior: list[float]
    prior_weight: float = 8.0
    kernel_width_hours: float = 0.8
    weight_first_10: float = 0.0
    weight_first_all: float = 0.0
    weight_same_day_type: float = 0.0
    weight_30_calendar_days: float = 0.0
    visit_prior_weight: float = 4.0
    visit_kernel_width_hours: float = 0.8
    visit_channel: str = field(default=Channel.VISITED_15.name)

    @cached_property
    def channel_weights(self) -> dict[Channel, np.float32]:
        """Weights of the channels of the first-visit hour beside ``FIRST_40``; those of weight 0 are left out."""
        weights = {
            Channel.FIRST_10: self.weight_first_10,
            Channel.FIRST_ALL: self.weight_first_all,
            Channel.FIRST_SAME_DAY_TYPE_40: self.weight_same_day_type,
            Channel.FIRST_30_CALENDAR_DAYS: self.weight_30_calendar_days,
        }
        return {channel: np.float32(weight) for channel, weight in weights.items() if weight}

    @cached_property
    def priors(self) -> NDArray[np.float32]:
        """``prior`` as an array [2, 24]."""
        return np.array(self.prior, dtype=np.float32)

    @cached_property
    def visit_priors(self) -> NDArray[np.float32]:
        """``visit_prior`` as an array [24]."""
        return np.array(self.visit_prior, dtype=np.float32)


def fit(dataset: Dataset, split: Split, histograms: NDArray[np.float32]) -> Parameters:
    """Count the priors on recent training rows, and find the rest by coordinate search on the validation rows.

    The parameters of the first hour minimise the log loss, which is never above that of the global histogram on these
    rows; those of the visited hours maximise the best-hour hit rate.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    split : Split
        Training and validation rows; test rows are not read.
    histograms : float32 array [V, len(Channel), 24]
        Decayed histograms before each of the V validation rows.
    """
    rows = split.validation
    dates, counts = dataset.visit_date[rows], histograms
    first_hour, flags = dataset.first_visit_hour[rows], hour_flags(dataset.hourly_visits[rows])

    def loss(parameters: Parameters) -> float:
        return float(log_losses(predict(parameters, dates, counts), first_hour).mean())

    def misses(parameters: Parameters) -> float:
        best = visit_hours(parameters, counts).argmax(axis=1)
        return 1.0 - float(flags[np.arange(len(best)), best].mean())

    start = _priors(dataset, split)
    everyone = global_histogram.fit(dataset, split).tolist()
    fitted = min(
        _coordinate_search(start, GRID, loss),
        replace(start, prior=[everyone, everyone], prior_weight=PRIOR_ALONE),
        key=loss,
    )
    channels = (Channel.VISITED_ALL, Channel.VISITED_15)
    per_channel = [
        _coordinate_search(replace(fitted, visit_channel=channel.name), VISIT_GRID, misses) for channel in channels
    ]
    return min(per_channel, key=misses)


def _priors(dataset: Dataset, split: Split) -> Parameters:
    dates = dataset.visit_date[split.train]
    recent = split.train[dates > dates.max() - RECENT_DAYS]
    weekend = is_weekend(dataset.visit_date[recent]).astype(np.int64)
    counts = np.zeros((2, HOURS))
    np.add.at(counts, (weekend, dataset.first_visit_hour[recent]), 1)
    all_days = (counts.sum(axis=0) + UNIFORM_ROWS / HOURS) / (len(recent) + UNIFORM_ROWS)
    prior = (counts + DAY_TYPE_ROWS * all_days) / (counts.sum(axis=1, keepdims=True) + DAY_TYPE_ROWS)
    visited = hour_flags(dataset.hourly_visits[split.train]).mean(axis=0, dtype=np.float64)
    return Parameters(prior=prior.tolist(), visit_prior=visited.tolist())


def _coordinate_search(
    start: Parameters, grid: Mapping[str, tuple[float, ...]], loss: Callable[[Parameters], float]
) -> Parameters:
    """Improve one parameter at a time: about fifty evaluations instead of the thousands of a full grid."""
    best, lowest = start, loss(start)
    for _ in range(SWEEPS):
        for name, values in grid.items():
            for value in values:
                candidate = replace(best, **{name: value})  # type: ignore[arg-type]
                value_loss = loss(candidate)
                if value_loss < lowest - SMALLEST_GAIN:
                    best, lowest = candidate, value_loss
    return best


def predict(
    parameters: Parameters, visit_date: NDArray[np.int32], histograms: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Forecast the first-visit hour.

    Parameters
    ----------
    parameters : Parameters
        What :func:`fit` returned.
    visit_date : int32 array [rows]
        Days to forecast, days since 1970-01-01.
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms before each of these days.

    Returns
    -------
    float32 array [rows, 24]
        Probabilities; they sum to 1.
    """
    counts = histograms[:, Channel.FIRST_40].copy()
    for channel, weight in parameters.channel_weights.items():
        counts += weight * histograms[:, channel]
    prior = parameters.priors[is_weekend(visit_date).astype(np.int64)]
    return shares(smooth(counts, parameters.kernel_width_hours), prior, parameters.prior_weight)


def visit_hours(parameters: Parameters, histograms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Estimate the chance of a visit in each hour, [rows, 24], each in 0..1.

    Parameters
    ----------
    parameters : Parameters
        What :func:`fit` returned.
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms before each day.
    """
    channel = Channel[parameters.visit_channel]
    counts = smooth(histograms[:, channel], parameters.visit_kernel_width_hours)
    days = visit_days_behind(histograms)[:, channel, None]
    return shares(counts, parameters.visit_priors, parameters.visit_prior_weight, days).clip(0, 1)


def probabilities(
    parameters: Parameters, visit_date: NDArray[np.int32], histograms: NDArray[np.float32]
) -> Probabilities:
    """Forecast the first-visit hour and later visits, as a scorer does; parameters as above."""
    first_hour = predict(parameters, visit_date, histograms)
    return Probabilities(first_hour, later_visit(first_hour, visit_hours(parameters, histograms)))


def to_json(parameters: Parameters) -> dict[str, Any]:
    """Turn parameters into a JSON object."""
    return asdict(parameters)


def from_json(content: Mapping[str, Any]) -> Parameters:
    """Restore parameters from what :func:`to_json` returned."""
    return Parameters(**content)
