"""What the daily schedule knows of users when it forecasts a date.

The shipped schedule forecasts a date at 04:00 UTC of the day before. That day has then hardly begun, so its visits are
not used. In the west the day before it is not over either: its visits so far are used. Fitting and evaluation cut
histories here in the same way, so that they judge forecasts as they are sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, hour_bits, user_of_row

SCHEDULE_HOUR_UTC: Final = 4
"""Hour of UTC at which the shipped schedule runs, on the day before the date that it forecasts."""
HISTORY_VISIT_DAYS: Final = 200
"""The workflow reads this many of a user's last visit days; docs/evaluation.md has the measurement."""
GAP_DAYS: Final = 2
"""Days from the last date whose visits are used to the date to forecast."""

_MINUTES_A_DAY: Final = 24 * 60
_COUNTS: Final = (*schema.PAGE_VIEWS_BY_TYPE, schema.TOTAL_TIME_SPENT_S)


@dataclass(frozen=True)
class Known:
    """Histories as the schedule sees them, one for each pair of a user and a date.

    Attributes
    ----------
    dataset : Dataset
        A user for each pair in `pairs`; the last row of each is the day to forecast, all zero but its date. A user
        of the original dataset appears as often as it has pairs.
    known_until : int32 array [pairs known]
        Last local date whose visits are used, days since 1970-01-01.
    pairs : int64 array [pairs known]
        Positions of the pairs among those asked for; the others had no visit yet that the schedule knows of.
    """

    dataset: Dataset
    known_until: NDArray[np.int32]
    pairs: NDArray[np.int64]


def as_known(
    dataset: Dataset, users: NDArray[np.int64], dates: NDArray[Any], visit_days: int = HISTORY_VISIT_DAYS
) -> Known:
    """Cut users' histories to what the schedule knows when it forecasts a date.

    A visit day that is not over at that instant has only the hours that began before it; its page views and time spent
    are reduced in proportion to the hours, since a dataset does not hold the events.

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
    starts = dataset.offsets[users]
    span = np.int64(1) << 32
    known_until = dates - GAP_DAYS
    ends = (user_of_row(dataset) * span + dataset.visit_date).searchsorted(users * span + known_until, side="right")
    has_last = np.flatnonzero(ends > starts)
    ends[has_last] -= ~_hours_known(dataset, ends[has_last] - 1, dates[has_last]).any(axis=1)
    pairs = np.flatnonzero(ends > starts)
    users, dates, known_until, ends = users[pairs], dates[pairs], known_until[pairs], ends[pairs]
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
    last = target - 1
    unfinished = columns[schema.VISIT_DATE][last] == known_until
    _cut(columns, last[unfinished], dates[unfinished])
    return Known(Dataset(dataset.user_ids[users], offsets, columns), known_until.astype(np.int32), pairs)


def _hours_known(dataset: Dataset, rows: NDArray[np.int64], dates: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which hours of visit days had a visit and had begun when `dates` were forecast, [rows, 24]."""
    return _begun(dataset.visit_date[rows], dataset.utc_offset_minutes[rows], dates) & (
        hour_bits(dataset.hourly_visits[rows]) > 0
    )


def _begun(days: NDArray[Any], offsets: NDArray[Any], dates: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which local hours of days had begun when `dates` were forecast, [rows, 24]."""
    run_at = (dates - 1) * _MINUTES_A_DAY + SCHEDULE_HOUR_UTC * 60
    minutes_so_far = run_at + offsets - days.astype(np.int64) * _MINUTES_A_DAY
    begun: NDArray[np.bool_] = np.arange(schema.HOURS) * 60 < minutes_so_far[:, None]
    return begun


def _cut(columns: dict[str, NDArray[Any]], rows: NDArray[np.int64], dates: NDArray[np.int64]) -> None:
    """Remove from visit days, in place, the hours that had not begun when `dates` were forecast."""
    visited = hour_bits(columns[schema.HOURLY_VISITS][rows]) > 0
    known = visited & _begun(columns[schema.VISIT_DATE][rows], columns[schema.UTC_OFFSET_MINUTES][rows], dates)
    cut = np.flatnonzero((known != visited).any(axis=1) & known.any(axis=1))
    rows, visited, known = rows[cut], visited[cut], known[cut]
    columns[schema.HOURLY_VISITS][rows] = (known.astype(np.int64) << np.arange(schema.HOURS)).sum(axis=1)
    share = known.sum(axis=1) / visited.sum(axis=1)
    for name in _COUNTS:
        columns[name][rows] = np.ceil(columns[name][rows] * share)
    columns[schema.TOTAL_PAGE_VIEWS][rows] = sum(columns[name][rows] for name in schema.PAGE_VIEWS_BY_TYPE)
    place = np.arange(len(rows))
    for name, substitute in (
        (schema.FIRST_VISIT_HOUR, known.argmax(axis=1)),
        (schema.LAST_VISIT_HOUR, schema.HOURS - 1 - known[:, ::-1].argmax(axis=1)),
    ):
        hour = columns[name][rows]
        columns[name][rows] = np.where(known[place, hour], hour, substitute)
