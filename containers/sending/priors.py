"""Forecasts for users with little or no recent history: the habits of their platform, weekday and time-zone group.

A group's shares are its own days mixed with the shares of the group around it, which are worth some days themselves:
everyone, then the weekday, then the weekday on a platform, then that in a band of time zones. A group without any days
thus answers as the group around it, and a large group answers for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast import schema
from visitcast.dataset import Dataset, hour_flags
from visitcast.schema import HOURS

BAND_MINUTES: Final = 180
BANDS: Final = (schema.EASTERNMOST_MINUTES - schema.WESTERNMOST_MINUTES) // BAND_MINUTES + 1
"""Time-zone groups of three hours each, from west to east."""
OUTER_WEIGHT: Final = 50.0
"""Days that the group around is worth in a group's shares."""
USER_WEIGHT: Final = 8.0
"""Days that the group is worth in the forecast of a user with a few days; as in the model's own features."""

MODEL: Final = "model"
MIXED: Final = "mixed"
PRIOR: Final = "prior"
SOURCES: Final = (MODEL, MIXED, PRIOR)
"""A source's code is its position here."""

Shares = NDArray[np.float32]


@dataclass(frozen=True)
class Priors:
    """Shares of the hours on one weekday, by platform and time-zone group.

    Attributes
    ----------
    first_visit_hour : float32 array [platforms, BANDS, 24]
        Of the first visits; sums to 1.
    visit_hour : float32 array [platforms, BANDS, 24]
        Share of the days on which the hour was visited.
    """

    first_visit_hour: Shares
    visit_hour: Shares


def band(utc_offset_minutes: NDArray[Any]) -> NDArray[np.int64]:
    """Time-zone group of each offset, 0 (Baker Island) to ``BANDS - 1`` (Kiribati)."""
    return np.asarray((utc_offset_minutes.astype(np.int64) - schema.WESTERNMOST_MINUTES) // BAND_MINUTES)


def weekday(day: Any) -> Any:
    """Monday is 0; 1970-01-01, day 0, was a Thursday."""
    return (day + 3) % 7


def priors_for(dataset: Dataset, date: int) -> Priors:
    """Habits of every group on the weekday of a date, from the visit days of a dataset.

    Parameters
    ----------
    dataset : Dataset
        Recent visit days, all before the date.
    date : int
        Date to forecast, days since 1970-01-01.
    """
    same = np.flatnonzero(weekday(dataset.visit_date.astype(np.int64)) == weekday(date))
    group = dataset.platform[same].astype(np.int64) * BANDS + band(dataset.utc_offset_minutes[same])
    first = np.eye(HOURS)[dataset.first_visit_hour]
    visited = hour_flags(dataset.hourly_visits).astype(np.float64)
    return Priors(
        first_visit_hour=_nested(first, first[same], group, np.full(HOURS, 1 / HOURS)),
        visit_hour=_nested(visited, visited[same], group, np.full(HOURS, 1 / HOURS)),
    )


def _nested(
    every_day: NDArray[np.float64],
    same_weekday: NDArray[np.float64],
    group: NDArray[np.int64],
    start: NDArray[np.float64],
) -> Shares:
    shape = (len(schema.PLATFORMS), BANDS, HOURS)
    flat = np.zeros((shape[0] * shape[1], HOURS))
    np.add.at(flat, group, same_weekday)
    counts = flat.reshape(shape)
    days = np.bincount(group, minlength=len(flat)).reshape(shape[:2]).astype(np.float64)
    everyone = _mix(every_day.sum(axis=0), np.float64(len(every_day)), start)
    on_weekday = _mix(counts.sum(axis=(0, 1)), days.sum(), everyone)
    of_platform = _mix(counts.sum(axis=1), days.sum(axis=1), on_weekday)
    return _mix(counts, days, of_platform[:, None]).astype(np.float32)


def _mix(counts: NDArray[np.float64], days: Any, outer: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((counts + OUTER_WEIGHT * outer) / (np.asarray(days)[..., None] + OUTER_WEIGHT))


def answer(
    priors: Priors,
    platform: NDArray[np.int8],
    utc_offset_minutes: NDArray[np.int16],
    first_counts: Shares,
    visited_counts: Shares,
    days: NDArray[np.int64],
) -> tuple[Shares, Shares, NDArray[np.int8]]:
    """Forecast users from their group and the few days they have.

    Parameters
    ----------
    priors : Priors
        What :func:`priors_for` gave.
    platform, utc_offset_minutes : arrays [rows]
        Of each user.
    first_counts, visited_counts : float32 arrays [rows, 24]
        How often each user's first visit, or any visit, fell in each hour.
    days : int64 array [rows]
        Visit days behind the counts.

    Returns
    -------
    first_visit_hour, visit_hour : float32 arrays [rows, 24]
    source : int8 array [rows]
        ``MIXED`` where there were days, ``PRIOR`` where there were none; positions in ``SOURCES``.
    """
    place = (platform, band(utc_offset_minutes))
    total = (days[:, None] + USER_WEIGHT).astype(np.float32)
    first = (first_counts + np.float32(USER_WEIGHT) * priors.first_visit_hour[place]) / total
    visited = (visited_counts + np.float32(USER_WEIGHT) * priors.visit_hour[place]) / total
    source = np.where(days > 0, SOURCES.index(MIXED), SOURCES.index(PRIOR)).astype(np.int8)
    return np.asarray(first / first.sum(axis=1, keepdims=True)), np.asarray(visited), source


def hour_counts(dataset: Dataset) -> tuple[Shares, Shares]:
    """Count each user's first-visit hours and visited hours, each [users, 24]."""
    user = np.repeat(np.arange(dataset.users), np.diff(dataset.offsets))
    first = np.bincount(user * HOURS + dataset.first_visit_hour, minlength=dataset.users * HOURS)
    visited = np.stack(
        [
            np.bincount(user, weights=(dataset.hourly_visits >> hour) & 1, minlength=dataset.users)
            for hour in range(HOURS)
        ],
        axis=1,
    )
    return first.reshape(-1, HOURS).astype(np.float32), visited.astype(np.float32)
