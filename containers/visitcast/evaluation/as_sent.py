"""Forecasts of visit days as the schedule makes them, by the model and by the baselines, from the same knowledge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, user_of_row
from visitcast.data.protocol import Split
from visitcast.data.schedule import HISTORY_VISIT_DAYS, Known, as_known
from visitcast.data.schema import HOURS
from visitcast.features.histograms import Channel, last_histograms
from visitcast.forecasting.forecaster import Forecast, forecast_last
from visitcast.metrics import Outcomes, point_outcomes, probability_outcomes
from visitcast.model.baselines import (
    GLOBAL_HISTOGRAM,
    LAST_HOUR,
    TUNED_HISTOGRAM,
    USER_HISTOGRAM,
    global_histogram,
    last_hour,
    tuned_histogram,
    user_histogram,
)
from visitcast.model.bundle import Bundle

BLOCK_PAIRS: Final = 10_000
"""Users and dates whose histories are held at a time: at most two million visit days of 200 each."""


@dataclass(frozen=True)
class AsSent:
    """Visit days as the schedule sees them when it forecasts them.

    Attributes
    ----------
    rows : int64 array [rows]
        Row of each in the dataset, ascending: those that were asked for and whose user had a known visit.
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms of the known visits before them.
    last_hour : int8 array [rows]
        Hour of the first visit on the last known visit day.
    forecasts : list of Forecast
        One for each model.
    """

    rows: NDArray[np.int64]
    histograms: NDArray[np.float32]
    last_hour: NDArray[np.int8]
    forecasts: list[Forecast]


def as_sent(
    dataset: Dataset, rows: NDArray[np.int64], models: Sequence[Bundle] = (), visit_days: int = HISTORY_VISIT_DAYS
) -> AsSent:
    """Forecast visit days from what the schedule knows.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    rows : int64 array [rows]
        Visit days to forecast, ascending.
    models : sequence of Bundle
        Models that forecast them.
    visit_days : int
        Last visit days of a user that the schedule reads.
    """
    places: list[NDArray[np.int64]] = []
    histograms = [np.empty((0, len(Channel), HOURS), dtype=np.float32)]
    hours = [np.empty(0, dtype=np.int8)]
    made: list[list[Forecast]] = [[] for _ in models]
    for places_of_block, known in blocks(dataset, user_of_row(dataset)[rows], dataset.visit_date[rows], visit_days):
        places.append(places_of_block)
        histograms.append(last_histograms(known.dataset))
        hours.append(last_hour.predict(known.dataset, known.dataset.offsets[1:] - 1))
        for model, forecasts in zip(models, made, strict=True):
            forecasts.append(forecast_last(model, known.dataset, known.as_of))
    kept = np.concatenate([np.empty(0, dtype=np.int64), *places])
    return AsSent(rows[kept], np.concatenate(histograms), np.concatenate(hours), [join(parts) for parts in made])


def blocks(
    dataset: Dataset, users: NDArray[np.int64], dates: NDArray[Any], visit_days: int = HISTORY_VISIT_DAYS
) -> Iterator[tuple[NDArray[np.int64], Known]]:
    """Yield positions of pairs of a user and a date and their histories, some at a time.

    Each history takes up to `visit_days` rows, and a user's is repeated for every date. Pairs of users without a known
    visit are left out.
    """
    for start in range(0, len(users), BLOCK_PAIRS):
        block = slice(start, start + BLOCK_PAIRS)
        known = as_known(dataset, users[block], dates[block], visit_days)
        if len(known.pairs):
            yield start + known.pairs, known


def join(forecasts: Sequence[Forecast]) -> Forecast:
    """Join forecasts of consecutive rows."""
    return Forecast(*(np.concatenate([getattr(one, field.name) for one in forecasts]) for field in fields(Forecast)))


def choose(forecast: Forecast, rows: NDArray[Any]) -> Forecast:
    """Keep some rows of a forecast, given as a mask or as numbers."""
    return Forecast(*(getattr(forecast, field.name)[rows] for field in fields(Forecast)))


def forecast_outcomes(forecast: Forecast, dataset: Dataset, rows: NDArray[np.int64]) -> Outcomes:
    """Compare forecasts of visit days with the actual visits."""
    return probability_outcomes(
        forecast.first_visit_hour,
        dataset.first_visit_hour[rows],
        dataset.hourly_visits[rows],
        best_hour=forecast.best_hour,
    )


def baseline_outcomes(dataset: Dataset, parts: Split, counts: NDArray[np.float32], test: AsSent) -> dict[str, Outcomes]:
    """Compare the baselines' forecasts with the actual visits, all from what the schedule knows.

    The tuned histogram is tuned on validation rows as the schedule sees them.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    parts : Split
        Training and validation rows.
    counts : float32 array [N, len(Channel), 24]
        ``decayed_histograms(dataset)``.
    test : AsSent
        Rows to forecast.
    """
    hour, mask = dataset.first_visit_hour[test.rows], dataset.hourly_visits[test.rows]
    # All of them are known: at most one of their three or more earlier days is cut away.
    validation = as_sent(dataset, parts.validation).histograms
    tuned = tuned_histogram.fit(dataset, parts, validation)
    user = user_histogram.fit(dataset, parts, counts)
    everybody = global_histogram.predict(global_histogram.fit(dataset, parts), test.rows)
    first_hours = tuned_histogram.predict(tuned, dataset.visit_date[test.rows], test.histograms)
    best_hour = tuned_histogram.visit_hours(tuned, test.histograms).argmax(axis=1)
    return {
        GLOBAL_HISTOGRAM: probability_outcomes(everybody, hour, mask),
        LAST_HOUR: point_outcomes(test.last_hour, hour, mask),
        USER_HISTOGRAM: probability_outcomes(user_histogram.predict(user, test.histograms), hour, mask),
        TUNED_HISTOGRAM: probability_outcomes(first_hours, hour, mask, best_hour=best_hour),
    }
