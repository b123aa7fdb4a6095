"""Forecasts for users with little or no recent history: the habits of their platform, weekday and time-zone group.

A group's shares are its own days mixed with the shares of the group around it, which are worth some days themselves:
everyone, then the weekday, then the weekday on a platform, then that in a band of time zones. A group without any days
thus answers as the group around it, and a large group answers for itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, hour_flags
from visitcast.data.schema import HOURS

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
Counts = NDArray[np.float64]

_GROUPS: Final = (len(schema.PLATFORMS), BANDS)


@dataclass(frozen=True)
class Habits:
    """Counted visit days: of everyone on any day, and of each group on the weekday to forecast. They can be added up.

    Attributes
    ----------
    first, visited : float64 arrays [24]
        Days by the hour of the first visit, and by the hours visited.
    days : int
        Days counted.
    group_first, group_visited : float64 arrays [platforms, BANDS, 24]
        The same, of each group on the weekday.
    group_days : float64 array [platforms, BANDS]
        Days of each group on the weekday.
    """

    first: Counts
    visited: Counts
    days: int
    group_first: Counts
    group_visited: Counts
    group_days: Counts

    def __add__(self, other: Habits) -> Habits:
        """Habits of both."""
        return Habits(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})


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


def habits_of(dataset: Dataset, date: int) -> Habits:
    """Count the visit days of a dataset.

    Parameters
    ----------
    dataset : Dataset
        Recent visit days of some users, all before the date.
    date : int
        Date to forecast, days since 1970-01-01; its weekday is the one that groups are counted on.
    """
    first = np.eye(HOURS)[dataset.first_visit_hour]
    visited = hour_flags(dataset.hourly_visits).astype(np.float64)
    same = np.flatnonzero(weekday(dataset.visit_date.astype(np.int64)) == weekday(date))
    group = dataset.platform[same].astype(np.int64) * BANDS + band(dataset.utc_offset_minutes[same])

    def by_group(days: Counts) -> Counts:
        sums = np.zeros((_GROUPS[0] * _GROUPS[1], HOURS))
        np.add.at(sums, group, days)
        return sums.reshape(*_GROUPS, HOURS)

    return Habits(
        first=first.sum(axis=0),
        visited=visited.sum(axis=0),
        days=dataset.visit_days,
        group_first=by_group(first[same]),
        group_visited=by_group(visited[same]),
        group_days=np.bincount(group, minlength=_GROUPS[0] * _GROUPS[1]).reshape(_GROUPS).astype(np.float64),
    )


def priors_of(habits: Habits) -> Priors:
    """Turn counted days into the nested shares of every group."""
    return Priors(
        first_visit_hour=_nested(habits.first, habits.days, habits.group_first, habits.group_days),
        visit_hour=_nested(habits.visited, habits.days, habits.group_visited, habits.group_days),
    )


def _nested(every_day: Counts, every_days: int, counts: Counts, days: Counts) -> Shares:
    everyone = _mix(every_day, every_days, np.full(HOURS, 1 / HOURS))
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
        What :func:`priors_of` gave.
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
