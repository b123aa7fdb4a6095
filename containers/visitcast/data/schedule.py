"""What is known of users at an instant, such as the hour at which the daily schedule forecasts a date.

The shipped schedule forecasts a date at 16:00 UTC of the day before, its eve. All days before the eve are over then,
in every time zone, and of the eve the hours so far are known. Fitting and evaluation cut histories here in the same
way, so that they judge forecasts as they are sent. Instants are minutes since 1970-01-01T00:00Z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, hour_bits, rows_before

SCHEDULE_HOUR_UTC: Final = 16
"""Hour of UTC at which the shipped schedule runs, on the day before the date that it forecasts."""
HISTORY_VISIT_DAYS: Final = 200
"""The workflow reads this many of a user's last visit days; docs/evaluation.md has the measurement."""

QUIET_HOURS: Final = (22, 7)
"""Local hours from which and until which the shipped campaign sends nothing."""

MINUTES_A_DAY: Final = 24 * 60
_COUNTS: Final = (*schema.PAGE_VIEWS_BY_TYPE, schema.TOTAL_PAGE_VIEWS, schema.TOTAL_TIME_SPENT_S)
_OF_HOURS: Final = (schema.HOURLY_VISITS, schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR)


@dataclass(frozen=True)
class Known:
    """Histories as the schedule sees them, one for each pair of a user and a date.

    Attributes
    ----------
    dataset : Dataset
        A user for each pair in `pairs`; the last row of each is the day to forecast, all zero but its date. A user
        of the original dataset appears as often as it has pairs.
    as_of : int64 array [pairs known]
        Instant at which the date is forecast.
    pairs : int64 array [pairs known]
        Positions of the pairs among those asked for; the others had no visit yet that the schedule knows of.
    """

    dataset: Dataset
    as_of: NDArray[np.int64]
    pairs: NDArray[np.int64]


def scheduled_at(dates: NDArray[Any]) -> NDArray[np.int64]:
    """Return the instants at which the shipped schedule forecasts dates."""
    return (dates.astype(np.int64) - 1) * MINUTES_A_DAY + SCHEDULE_HOUR_UTC * 60


def over_everywhere(dates: NDArray[Any]) -> NDArray[np.int64]:
    """Return instants at which all days before dates are over in every time zone."""
    return dates.astype(np.int64) * MINUTES_A_DAY - schema.WESTERNMOST_MINUTES


def minutes_of(instant: datetime) -> int:
    """Return an instant with a time zone as minutes since 1970-01-01T00:00Z."""
    return math.floor(instant.timestamp() / 60)


def hours_known(days: NDArray[Any], offsets: NDArray[Any], as_of: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how many hours of local days are over at an instant, [rows]: 0 before the day, 24 after it.

    Parameters
    ----------
    days : int array [rows]
        Days since 1970-01-01.
    offsets : int array [rows]
        Minutes of local time east of UTC.
    as_of : int64 array [rows]
        Instants.
    """
    hours: NDArray[np.float64] = ((as_of + offsets - days.astype(np.int64) * MINUTES_A_DAY) / 60).clip(0, schema.HOURS)
    return hours


def known_flags(masks: NDArray[Any], hours: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which visited hours of days had begun, [rows, 24], of masks of visited hours and of the hours known."""
    return (hour_bits(masks) > 0) & (np.arange(schema.HOURS) < hours[:, None])


def first_known(known: NDArray[np.bool_], hour: NDArray[Any]) -> NDArray[np.int64]:
    """Return the hours of the first visits [rows], where they are known, else the first known hours of [rows, 24]."""
    return np.where(known[np.arange(len(known)), hour], hour, known.argmax(axis=1))


def as_known(
    dataset: Dataset, users: NDArray[np.int64], dates: NDArray[Any], visit_days: int = HISTORY_VISIT_DAYS
) -> Known:
    """Cut users' histories to what the schedule knows when it forecasts a date.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    users : int64 array [pairs]
        Positions of the users in the dataset, in any order.
    dates : int array [pairs]
        Local dates to forecast, days since 1970-01-01.
    visit_days : int
        Last visit days that are kept.
    """
    dates = np.asarray(dates, dtype=np.int64)
    as_of = scheduled_at(dates)
    starts = dataset.offsets[users]
    ends = rows_before(dataset, users, dates)
    has_last = np.flatnonzero(ends > starts)
    last = ends[has_last] - 1
    hours = hours_known(dataset.visit_date[last], dataset.utc_offset_minutes[last], as_of[has_last])
    ends[has_last] -= ~known_flags(dataset.hourly_visits[last], hours).any(axis=1)
    pairs = np.flatnonzero(ends > starts)
    users, dates, as_of, ends = users[pairs], dates[pairs], as_of[pairs], ends[pairs]
    starts = np.maximum(starts[pairs], ends - visit_days)

    lengths = ends - starts + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    target = offsets[1:] - 1
    rows = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    rows[target] = 0  # Any row: the values are replaced.
    columns = {name: values[rows] for name, values in dataset.columns.items()}
    for values in columns.values():
        values[target] = 0
    columns[schema.VISIT_DATE][target] = dates
    return Known(known_at(Dataset(dataset.user_ids[users], offsets, columns), as_of), as_of, pairs)


def known_at(dataset: Dataset, as_of: NDArray[np.int64]) -> Dataset:
    """Cut users' histories at an instant; the last row of each user, the day to forecast, stays.

    Hours that had begun are kept whole.

    Parameters
    ----------
    dataset : Dataset
        Visit days, with days to forecast appended (:func:`visitcast.data.dataset.with_target_days`).
    as_of : int64 array [U]
        Instant of each user.
    """
    instants = np.repeat(as_of, np.diff(dataset.offsets))
    unfinished = (dataset.visit_date + np.int64(1)) * MINUTES_A_DAY - dataset.utc_offset_minutes > instants
    unfinished[dataset.offsets[1:] - 1] = False
    rows = np.flatnonzero(unfinished)
    visited = hour_bits(dataset.hourly_visits[rows]) > 0
    hours = hours_known(dataset.visit_date[rows], dataset.utc_offset_minutes[rows], instants[rows])
    known = known_flags(dataset.hourly_visits[rows], hours)
    changed = np.flatnonzero((known != visited).any(axis=1))
    if len(changed) == 0:
        return dataset
    rows, known = rows[changed], known[changed]
    kept = np.ones(dataset.visit_days, dtype=np.bool_)
    kept[rows] = known.any(axis=1)
    cut = cut_days(dataset, rows[kept[rows]], known[kept[rows]])
    offsets = np.concatenate([[0], np.cumsum(kept)])[dataset.offsets]
    return replace(dataset, offsets=offsets, columns={name: values[kept] for name, values in cut.columns.items()})


def cut_days(dataset: Dataset, rows: NDArray[np.int64], known: NDArray[np.bool_]) -> Dataset:
    """Remove all but the known visited hours [rows, 24] from some days; each has at least one.

    Page views and time spent are reduced in proportion to the hours, since a dataset does not hold the events.
    """
    columns = dict(dataset.columns)
    for name in (*_COUNTS, *_OF_HOURS):
        columns[name] = columns[name].copy()
    share = known.sum(axis=1) / (hour_bits(dataset.hourly_visits[rows]) > 0).sum(axis=1)
    for name in _COUNTS:
        columns[name][rows] = np.ceil(columns[name][rows] * share)
    columns[schema.TOTAL_PAGE_VIEWS][rows] = sum(columns[name][rows] for name in schema.PAGE_VIEWS_BY_TYPE)
    columns[schema.HOURLY_VISITS][rows] = (known.astype(np.int64) << np.arange(schema.HOURS)).sum(axis=1)
    columns[schema.FIRST_VISIT_HOUR][rows] = first_known(known, columns[schema.FIRST_VISIT_HOUR][rows])
    last = columns[schema.LAST_VISIT_HOUR][rows]
    latest = schema.HOURS - 1 - known[:, ::-1].argmax(axis=1)
    columns[schema.LAST_VISIT_HOUR][rows] = np.where(known[np.arange(len(rows)), last], last, latest)
    return replace(dataset, columns=columns)
