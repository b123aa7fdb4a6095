"""Statistics of visit days by date, from which the cut-offs are found and the features are fitted.

The model must not learn from days after the cut-off, whose date is known only when all data have been read. So one
pass computes totals by date, and the dates before the cut-off are pooled afterwards. Means and sums of squared
deviations are pooled as in Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983). However the
users are divided into blocks, shards and instances, means and deviations agree within 1e-12 of their size, and counts
agree exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, hour_bits, position_in_history
from visitcast.data.protocol import MINIMUM_HISTORY
from visitcast.data.schema import FIRST_VISIT_HOUR, HOURLY_VISITS, HOURS, VISIT_DATE
from visitcast.features.definition import SCALED_BLOCKS, Days

SCALED_NAMES: Final = tuple(name for block in SCALED_BLOCKS for name in block.names)
_ROWS_AT_ONCE: Final = 2**16


@dataclass(frozen=True)
class DayStatistics:
    """Statistics of all visit days of D dates; C features are scaled.

    Attributes
    ----------
    dates : int64 array [D]
        Days since 1970-01-01, ascending.
    visit_days : int64 array [D]
        Rows.
    eligible : int64 array [D]
        Rows with enough history to be learned from or judged on.
    first_hours, visited_hours : int64 arrays [D, 24]
        Rows by hour of the first visit; rows on which the hour was visited.
    means : float64 array [D, C]
        Mean of each of ``SCALED_NAMES`` before scaling.
    squares : float64 array [D, C]
        Sum of the squared deviations from these means.
    """

    dates: NDArray[Any]
    visit_days: NDArray[Any]
    eligible: NDArray[Any]
    first_hours: NDArray[Any]
    visited_hours: NDArray[Any]
    means: NDArray[np.float64]
    squares: NDArray[np.float64]


def summarise(dataset: Dataset) -> DayStatistics:
    """Compute the statistics of whole users' visit days by date."""
    starts = range(0, dataset.visit_days, _ROWS_AT_ONCE)
    blocks = (np.arange(start, min(start + _ROWS_AT_ONCE, dataset.visit_days)) for start in starts)
    return merge([EMPTY, *(merge([_of_rows(dataset, rows)]) for rows in blocks)])


def _of_rows(dataset: Dataset, rows: NDArray[np.int64]) -> DayStatistics:
    """Describe every row as the only visit day of its date; :func:`merge` pools those of one date."""
    days = Days(dataset, rows)
    values = np.concatenate([block.encode(days) for block in SCALED_BLOCKS], axis=1)
    return DayStatistics(
        dates=days.stored(VISIT_DATE).astype(np.int64),
        visit_days=np.ones(len(rows), dtype=np.int64),
        eligible=position_in_history(dataset, rows) >= MINIMUM_HISTORY,
        first_hours=np.eye(HOURS, dtype=bool)[days.stored(FIRST_VISIT_HOUR)],
        visited_hours=hour_bits(days.stored(HOURLY_VISITS)),
        means=values,
        squares=np.zeros_like(values),
    )


def merge(parts: Sequence[DayStatistics]) -> DayStatistics:
    """Pool statistics of different visit days by date."""
    every = DayStatistics(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(DayStatistics))
    )
    dates, date_of_each, repeats = np.unique(every.dates, return_inverse=True, return_counts=True)
    order, starts = np.argsort(date_of_each), np.cumsum(repeats) - repeats

    def total(values: NDArray[Any]) -> NDArray[Any]:
        return np.add.reduceat(values[order], starts, axis=0, dtype=np.result_type(values, np.int64))

    visit_days, weights = total(every.visit_days), every.visit_days[:, None]
    means = total(weights * every.means) / visit_days[:, None]
    return DayStatistics(
        dates=dates,
        visit_days=visit_days,
        eligible=total(every.eligible),
        first_hours=total(every.first_hours),
        visited_hours=total(every.visited_hours),
        means=means,
        squares=total(every.squares + weights * (every.means - means[date_of_each]) ** 2),
    )


def pooled_before(statistics: DayStatistics, date: int) -> DayStatistics:
    """Pool all dates before a date into one."""
    known = statistics.dates < date
    kept = DayStatistics(*(getattr(statistics, field.name)[known] for field in fields(DayStatistics)))
    return merge([replace(kept, dates=np.zeros_like(kept.dates))])


EMPTY: Final = DayStatistics(
    dates=np.zeros(0, dtype=np.int64),
    visit_days=np.zeros(0, dtype=np.int64),
    eligible=np.zeros(0, dtype=np.int64),
    first_hours=np.zeros((0, HOURS), dtype=np.int64),
    visited_hours=np.zeros((0, HOURS), dtype=np.int64),
    means=np.zeros((0, len(SCALED_NAMES))),
    squares=np.zeros((0, len(SCALED_NAMES))),
)
"""Statistics of no visit day."""
