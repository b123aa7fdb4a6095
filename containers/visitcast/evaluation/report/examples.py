"""Example users: their history, the forecast and the actual visits, without identifiers or dates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.calendar import weekday
from visitcast.data.dataset import Dataset, hour_flags, user_of_row
from visitcast.data.schema import PLATFORMS
from visitcast.evaluation.groups import WEEKDAYS
from visitcast.forecasting.forecaster import Forecast

COUNT: Final = 12
HISTORY_DAYS: Final = 40


@dataclass(frozen=True)
class Example:
    """One forecast of one user.

    Attributes
    ----------
    number : int
        Replaces the user's identifier; counts from 1.
    weekday, platform : str
        Of the day that is forecast.
    earlier_days : int
        Visit days before it.
    history : bool array [days, 24]
        Hours visited on the last ``HISTORY_DAYS`` of them.
    first_visit_hour, visit_hour : float32 arrays [24]
        Forecast.
    best_hour : int
        Hour to send at.
    visited : bool array [24]
        Hours visited on the day that is forecast.
    """

    number: int
    weekday: str
    platform: str
    earlier_days: int
    history: NDArray[np.bool_]
    first_visit_hour: NDArray[np.float32]
    visit_hour: NDArray[np.float32]
    best_hour: int
    visited: NDArray[np.bool_]


def choose(dataset: Dataset, rows: NDArray[np.int64], forecast: Forecast, seed: int) -> list[Example]:
    """Draw users with equal chances, and a day of each.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    rows : int64 array [rows]
        Rows of `forecast`.
    forecast : Forecast
        Forecasts of these rows.
    seed : int
        Makes the choice reproducible and independent of how good the forecasts are.
    """
    rng = np.random.default_rng(seed)
    user = user_of_row(dataset)[rows]
    users = np.unique(user)
    chosen = rng.permutation(users)[:COUNT]
    places = [int(rng.choice(np.flatnonzero(user == one))) for one in chosen]
    return [_example(dataset, rows, forecast, number, place) for number, place in enumerate(places, start=1)]


def _example(dataset: Dataset, rows: NDArray[np.int64], forecast: Forecast, number: int, place: int) -> Example:
    row = int(rows[place])
    start = int(dataset.offsets[np.searchsorted(dataset.offsets, row, side="right") - 1])
    flags = hour_flags(dataset.hourly_visits[max(start, row - HISTORY_DAYS) : row + 1]).astype(bool)
    return Example(
        number=number,
        weekday=WEEKDAYS[int(weekday(dataset.visit_date[row]))],
        platform=PLATFORMS[int(dataset.platform[row])],
        earlier_days=row - start,
        history=flags[:-1],
        first_visit_hour=forecast.first_visit_hour[place],
        visit_hour=forecast.visit_hour[place],
        best_hour=int(forecast.visit_hour[place].argmax()),
        visited=flags[-1],
    )
