"""Profile of active users and of their forecasts: counts by which a run is compared with others.

Users who have not come for four weeks are left out. Their number only grows, and few of them will come, so that they
would hide what changes among the others, or look like a change themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.calendar import weekday
from visitcast.data.dataset import Dataset
from visitcast.data.schedule import Known, as_known

if TYPE_CHECKING:
    from visitcast.forecasting.forecaster import Forecast  # The sending image does not have all that it imports.

Profile = dict[str, list[int]]
"""Counts per bin, by the name of what is counted."""

ACTIVE_DAYS: Final = 28
"""Users count if their last visit day is at most so many days before the last one that is known."""
HISTORY_DAYS: Final = (0, 3)
"""First number of visit days of each bin: new users, as ``protocol.MINIMUM_HISTORY`` has it, and the others.

Longer histories are not told apart: they grow in an app that does not change.
"""
ABSENT_DAYS: Final = (0, 2, 4, 7, 14)
"""First number of days of each bin. The eve, 0, and the day before are one: how much of the eve is over differs from
run to run."""
REGION_MINUTES: Final = (schema.WESTERNMOST_MINUTES, -90, 195, 555)
"""First UTC offset of each bin: the Americas, Europe and Africa, Asia, Oceania.

Daylight saving time moves the offsets of half the world by an hour, but moves hardly anybody across these bounds.
"""
CONFIDENCE_BINS: Final = 20
USERS_PER_WEEKDAY: Final = 5_000
"""Users whose forecasts make up the training data's profile of a weekday; more would not change the shares."""

_SEED: Final = 28


def profile(
    platform: NDArray[np.int8],
    utc_offset_minutes: NDArray[np.int16],
    history_days: NDArray[Any],
    absent_days: NDArray[Any],
    first_visit_hour: NDArray[np.float32],
    best_hour: NDArray[Any],
    confidence: NDArray[Any],
) -> Profile:
    """Count the active users of a date and their forecasts; every array has one row per user.

    Parameters
    ----------
    platform, utc_offset_minutes : arrays [rows]
        Of the users' last visit days.
    history_days : int array [rows]
        Visit days that a forecast reads.
    absent_days : int array [rows]
        Days from the last visit day to the last one that is known, which is the same for all users of a run.
    first_visit_hour : float32 array [rows, 24]
        Forecasts; their sum over the users is counted.
    best_hour, confidence : arrays [rows]
        Of the forecasts.
    """
    active = np.asarray(absent_days) <= ACTIVE_DAYS
    confident = np.minimum((confidence[active] * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
    first = first_visit_hour[active].sum(axis=0, dtype=np.float64)
    return {
        "input: platform": _counts(platform[active], len(schema.PLATFORMS)),
        "input: utc offset": _binned(utc_offset_minutes[active], REGION_MINUTES),
        "input: visit days": _binned(history_days[active], HISTORY_DAYS),
        "input: days since last visit": _binned(absent_days[active], ABSENT_DAYS),
        "forecast: best hour": _counts(best_hour[active], schema.HOURS),
        "forecast: confidence": _counts(confident, CONFIDENCE_BINS),
        "forecast: first visit hour": np.rint(first).astype(int).tolist(),
    }


def profile_of_known(known: Known, forecast: Forecast) -> Profile:
    """Count users as the schedule sees them.

    Parameters
    ----------
    known : Known
        Histories, all for one date.
    forecast : Forecast
        Of the last row of each.
    """
    columns, target = known.dataset, known.dataset.offsets[1:] - 1
    return profile(
        platform=columns.platform[target - 1],
        utc_offset_minutes=columns.utc_offset_minutes[target - 1],
        history_days=np.diff(known.dataset.offsets) - 1,
        absent_days=columns.visit_date[target] - 1 - columns.visit_date[target - 1],
        first_visit_hour=forecast.first_visit_hour,
        best_hour=forecast.best_hour,
        confidence=forecast.confidence,
    )


def weekday_profiles(dataset: Dataset, forecast: Callable[[Known], Forecast]) -> dict[str, Profile]:
    """Make the profiles of a dataset's last seven dates, as the schedule would have forecast them.

    In many apps a Monday's users have been away for other days than a Thursday's, so that a run is compared with its
    own weekday.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    forecast : callable
        Forecasts the last row of each of some histories.

    Returns
    -------
    dict
        Profile by weekday, ``"0"`` (Monday) to ``"6"``.
    """
    rng = np.random.default_rng(_SEED)
    last = int(dataset.visit_date.max())
    profiles = {}
    for date in range(last - 6, last + 1):
        users = _visitors(dataset, date)
        if len(users) > USERS_PER_WEEKDAY:
            users = np.sort(rng.choice(users, USERS_PER_WEEKDAY, replace=False))
        known = as_known(dataset, users, np.full(len(users), date))
        if len(known.pairs):
            profiles[weekday_of(date)] = profile_of_known(known, forecast(known))
    return profiles


def weekday_of(date: int) -> str:
    """Return a date's key among the profiles of :func:`weekday_profiles`; `date` is days since 1970-01-01."""
    return str(int(weekday(np.array([date]))[0]))


def _visitors(dataset: Dataset, date: int) -> NDArray[np.int64]:
    """Return the users who may be active on a date."""
    earliest = date - 1 - ACTIVE_DAYS
    rows = np.flatnonzero((dataset.visit_date < date) & (dataset.visit_date >= earliest))
    return np.unique(dataset.offsets.searchsorted(rows, side="right") - 1)


def _counts(values: NDArray[Any], bins: int) -> list[int]:
    counts: list[int] = np.bincount(values.astype(np.int64), minlength=bins).tolist()
    return counts


def _binned(values: NDArray[Any], starts: Sequence[int]) -> list[int]:
    place = np.searchsorted(np.asarray(starts), values, side="right") - 1
    return _counts(np.maximum(place, 0), len(starts))
