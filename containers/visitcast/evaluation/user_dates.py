"""Known users on test dates: what the schedule forecasts of them, and what came.

The other figures of the evaluation take days on which the user came. A schedule does not know on which days that will
be, and sends to every user on every date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, rows_before, user_of_row
from visitcast.data.protocol import Split
from visitcast.data.schedule import QUIET_HOURS, Known
from visitcast.data.schema import HOURS
from visitcast.evaluation.as_sent import blocks
from visitcast.forecasting.correction import CLOSED_DATES, FEWEST_DATES, Correction, corrected, solve_correction
from visitcast.forecasting.forecaster import forecast_last
from visitcast.model import visit_probability
from visitcast.model.baselines import visit_rates
from visitcast.model.bundle import Bundle

MAXIMUM_PAIRS: Final = 200_000
"""Pairs of a user and a date that the evaluation job forecasts."""
ACTIVE_DAYS: Final = 90
"""Users whose last visit day is at most so many days before the date compete for the capacity. Nearly all visits are
theirs, so that most of a sample is of them."""

_SEED: Final = 60


@dataclass(frozen=True)
class UserDates:
    """Known users on dates: forecasts as the schedule makes them, and what came.

    Attributes
    ----------
    user, date : int64 arrays [pairs]
        Positions of the users, and days since 1970-01-01.
    weight : float64 array [pairs]
        How many users of the date each stands for.
    visit_days, absent_days : int64 arrays [pairs]
        Visit days that the forecast reads, and days since the last of them.
    probability : float64 array [pairs]
        That the user comes.
    hour_chance : float64 array [pairs]
        Of a visit in the hour of the send, given that the user comes.
    rates : dict of str to float64 array [pairs]
        Probability that the user comes, by baseline.
    came, visited : bool arrays [pairs]
        Whether the user came, and whether in the hour of the send.
    """

    user: NDArray[np.int64]
    date: NDArray[np.int64]
    weight: NDArray[np.float64]
    visit_days: NDArray[np.int64]
    absent_days: NDArray[np.int64]
    probability: NDArray[np.float64]
    hour_chance: NDArray[np.float64]
    rates: Mapping[str, NDArray[np.float64]]
    came: NDArray[np.bool_]
    visited: NDArray[np.bool_]

    @property
    def chance(self) -> NDArray[np.float64]:
        """Chance of a visit in the hour of the send, [pairs]."""
        return self.probability * self.hour_chance


def select(pairs: UserDates, rows: NDArray[np.bool_]) -> UserDates:
    """Keep some pairs."""
    kept = {field.name: getattr(pairs, field.name)[rows] for field in fields(UserDates) if field.name != "rates"}
    return UserDates(**kept, rates={name: rates[rows] for name, rates in pairs.rates.items()})


def forecast_user_dates(model: Bundle, dataset: Dataset, parts: Split, most_pairs: int = MAXIMUM_PAIRS) -> UserDates:
    """Forecast known users on test dates, as the schedule does.

    Parameters
    ----------
    model : Bundle
        Fitted model.
    dataset : Dataset
        Visit days.
    parts : Split
        Gives the test dates.
    most_pairs : int
        Pairs at most; of more, a sample of the users of each date.
    """
    rates = visit_rates.fit(dataset, parts)
    users, dates, weights = sample(dataset, parts, most_pairs)
    found = [
        _of_block(model, rates, dataset, users[places], dates[places], weights[places], known)
        for places, known in blocks(dataset, users, dates)
    ]
    return _join(found) if found else _nobody()


def sample(
    dataset: Dataset, parts: Split, most_pairs: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Choose pairs of users whom the schedule knows and test dates, and say how many users each stands for.

    Of users who have been away for more than ``ACTIVE_DAYS``, whose number only grows, at most a quarter of the sample
    is taken if there are enough others. The last local date of the data is left out: it is not over everywhere.
    """
    dates = np.arange(parts.test_starts, dataset.visit_date.max(), dtype=np.int64)
    by_date = np.argsort(dataset.visit_date, kind="stable")
    user, day = user_of_row(dataset)[by_date], dataset.visit_date[by_date]
    first = dataset.visit_date[dataset.offsets[:-1]]
    rng = np.random.default_rng(_SEED)
    users, weights = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    sizes = []
    for date in dates:
        active = np.zeros(dataset.users, dtype=bool)
        active[user[slice(*day.searchsorted([date - ACTIVE_DAYS, date]))]] = True
        strata = np.flatnonzero(active), np.flatnonzero(~active & (first < date))
        most = most_pairs // len(dates)
        of_active = min(len(strata[0]), most - min(len(strata[1]), most // 4))
        sizes.append(0)
        for members, wanted in zip(strata, (of_active, most - of_active), strict=True):
            chosen = members if len(members) <= wanted else np.sort(rng.choice(members, wanted, replace=False))
            users.append(chosen)
            weights.append(np.full(len(chosen), len(members) / max(1, len(chosen))))
            sizes[-1] += len(chosen)
    return np.concatenate(users), np.repeat(dates, sizes), np.concatenate(weights)


def _of_block(
    model: Bundle,
    rates: visit_rates.Parameters,
    dataset: Dataset,
    users: NDArray[np.int64],
    dates: NDArray[np.int64],
    weights: NDArray[np.float64],
    known: Known,
) -> UserDates:
    forecast = forecast_last(model, known.dataset, known.as_of)
    chances = np.where(allowed_hours(), forecast.visit_hour, -1.0)
    hour = chances.argmax(axis=1)
    came, mask = _outcomes(dataset, users, dates)
    last = known.dataset.visit_date[known.dataset.offsets[1:] - 2]
    return UserDates(
        user=users,
        date=dates,
        weight=weights,
        visit_days=np.diff(known.dataset.offsets) - 1,
        absent_days=dates - last,
        probability=forecast.visit_probability.astype(np.float64),
        hour_chance=chances.max(axis=1).astype(np.float64),
        rates={name: rate.astype(np.float64) for name, rate in visit_rates.predict(rates, known.dataset).items()},
        came=came,
        visited=((mask >> hour) & 1).astype(bool),
    )


def allowed_hours() -> NDArray[np.bool_]:
    """Return which local hours are not quiet, [24]."""
    hour = np.arange(HOURS)
    begins, ends = QUIET_HOURS
    return np.asarray((hour >= ends) & (hour < begins))


def _outcomes(
    dataset: Dataset, users: NDArray[np.int64], dates: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return who came on the date, and in which hours as a mask, 0 for the others."""
    came = visit_probability.came(dataset, visit_probability.Pairs(users, dates))
    mask = np.zeros(len(users), dtype=np.int64)
    mask[came] = dataset.hourly_visits[rows_before(dataset, users[came], dates[came])]
    return came, mask


def _join(parts: list[UserDates]) -> UserDates:
    joined = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(UserDates)
        if field.name != "rates"
    }
    return UserDates(
        **joined, rates={name: np.concatenate([part.rates[name] for part in parts]) for name in parts[0].rates}
    )


def _nobody() -> UserDates:
    numbers, chances = np.empty(0, dtype=np.int64), np.empty(0)
    rates = dict.fromkeys((visit_rates.GLOBAL_RATE, visit_rates.WEEKDAY_RATE, visit_rates.USER_RATE), chances)
    nothing = np.empty(0, dtype=bool)
    return UserDates(numbers, numbers, chances, numbers, numbers, chances, chances, rates, nothing, nothing)


def correct_by_closed_dates(pairs: UserDates) -> UserDates:
    """Correct the forecasts of each date by what came on the dates before it, as the plan of the sends does.

    Two corrections: of the probability of coming, and of the chance of a visit in the hour of the send. Closed at the
    schedule are the dates up to two days before. There is no correction as long as they are too few.
    """
    probability, chance = pairs.probability.copy(), pairs.chance
    for date in np.unique(pairs.date):
        closed = (pairs.date <= date - 2) & (pairs.date > date - 2 - CLOSED_DATES)
        if len(np.unique(pairs.date[closed])) >= FEWEST_DATES:
            weight, of_date = pairs.weight[closed], pairs.date == date
            for values, forecast, came in (
                (probability, pairs.probability, pairs.came),
                (chance, pairs.chance, pairs.visited),
            ):
                values[of_date] = corrected(forecast[of_date], _correction(forecast[closed], weight, came[closed]))
    return replace(pairs, probability=probability, hour_chance=chance / np.maximum(probability, np.finfo(float).tiny))


def _correction(forecast: NDArray[np.float64], weight: NDArray[np.float64], came: NDArray[np.bool_]) -> Correction:
    """Find the correction from sums by quarters of the log odds, as realised_visits.sql gives them."""
    p = forecast.clip(1e-6, 1 - 1e-6)
    _, group = np.unique(np.floor(4 * np.log(p / (1 - p))), return_inverse=True)
    users, expected, visitors = (np.bincount(group, weight * of) for of in (np.ones(len(p)), forecast, came))
    return solve_correction(expected / users, users, visitors)


def size(pairs: UserDates) -> dict[str, int]:
    """Return how many users and dates there are."""
    return {"users": len(np.unique(pairs.user)), "dates": len(np.unique(pairs.date))}
