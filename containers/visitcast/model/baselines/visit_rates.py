"""Baselines of the probability that a user comes: the rate of all users, of the weekday, and the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.calendar import weekday
from visitcast.data.dataset import Dataset, user_of_row
from visitcast.data.protocol import Split
from visitcast.model.visit_probability import GAPS, came, fit_dates, known_users

GLOBAL_RATE: Final = "global_rate"
WEEKDAY_RATE: Final = "weekday_rate"
USER_RATE: Final = "user_rate"
"""The user's rate, in which a day weighs half as much after ``HALF_LIFE_DAYS``."""
HALF_LIFE_DAYS: Final = 10.0
PRIOR_DAYS: Final = 2.0
"""Days of the global rate that a user's rate begins with."""


@dataclass(frozen=True)
class Parameters:
    """Share of the known users who come on a date: on any date, and on each weekday [7], Monday first."""

    global_rate: float
    weekday_rates: NDArray[np.float64]


def fit(dataset: Dataset, parts: Split, seed: int = 7) -> Parameters:
    """Count who came, on the users and dates that :func:`visitcast.model.visit_probability.fit` learns from."""
    pairs = known_users(dataset, fit_dates(dataset, parts), max(GAPS), seed)
    visits = came(dataset, pairs)
    rate = float((visits.sum() + 0.5) / (len(visits) + 1))
    day = weekday(pairs.date)
    by_weekday = np.bincount(day, visits, minlength=7), np.bincount(day, minlength=7)
    return Parameters(rate, (by_weekday[0] + PRIOR_DAYS * rate) / (by_weekday[1] + PRIOR_DAYS))


def predict(parameters: Parameters, dataset: Dataset) -> dict[str, NDArray[np.float32]]:
    """Forecast whether each user comes on the day of the user's last row.

    The day before it counts like the others, also if it is not over: one of some fourteen days that matter.

    Parameters
    ----------
    parameters : Parameters
        What :func:`fit` returned.
    dataset : Dataset
        Visit days, with target days appended by :func:`visitcast.data.dataset.with_target_days`.

    Returns
    -------
    dict of str to float32 array [U]
        Probabilities by name of the baseline.
    """
    target = dataset.offsets[1:] - 1
    user, date = user_of_row(dataset), dataset.visit_date.astype(np.int64)
    age = date[target][user] - 1 - date
    weight = np.exp2(-age / HALF_LIFE_DAYS)
    weight[target] = 0.0
    visits = np.bincount(user, weight, minlength=dataset.users)
    watched = date[target] - date[dataset.offsets[:-1]]
    days = (1 - np.exp2(-watched / HALF_LIFE_DAYS)) / (1 - 0.5 ** (1 / HALF_LIFE_DAYS))
    rates = {
        GLOBAL_RATE: np.full(dataset.users, parameters.global_rate),
        WEEKDAY_RATE: parameters.weekday_rates[weekday(date[target])],
        USER_RATE: (visits + PRIOR_DAYS * parameters.global_rate) / (days + PRIOR_DAYS),
    }
    return {name: rate.astype(np.float32) for name, rate in rates.items()}
