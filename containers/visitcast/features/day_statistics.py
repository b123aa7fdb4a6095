"""What the cut-offs and the transformer need to know of visit days, summed up by date in exact whole numbers.

The date from which days must not be learned from is known only when all data were read. So one pass sums by date, and
the dates before the cut-off are added up afterwards. Sums of whole numbers do not depend on the order or on how the
users were parted into shards, files and instances: neither does anything made from them, to the last bit.

Values with a fraction (logarithms) are rounded to multiples of 2^-28 first. Then mean and variance of any choice of
dates are exact for the rounded values, however many there are (what Chan, Golub and LeVeque 1983 achieve approximately
in floating point), and differ from those of the values by about 2^-29.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, position_in_history
from visitcast.data.protocol import MINIMUM_HISTORY
from visitcast.data.schema import HOURS

Counts = NDArray[np.int64]

MAX_VALUE: Final = 32
_FRACTION_BITS: Final = 28
_LOW_BITS: Final = 16
_ROWS_AT_A_TIME: Final = 2**18
"""bincount adds floats. A scaled value is below 2^33, its upper part below 2^17 and that squared below 2^34: the sum of
2^18 of them stays below 2^53, up to which floats are exact."""
_NIBBLE: Final = 4


@dataclass(frozen=True)
class DayStatistics:
    """Sums over all visit days of D dates.

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
    sums : int64 array [D, C]
        Sum of every scaled value, in units of 2^-28.
    squares : int64 array [D, C, 3]
        Sum of squares. With a scaled value of ``high * 2^16 + low``: sums of high^2, high * low and low^2.
        Good for 2^29 rows a date.
    """

    dates: Counts
    visit_days: Counts
    eligible: Counts
    first_hours: Counts
    visited_hours: Counts
    sums: Counts
    squares: Counts


def summarise(dataset: Dataset, values: Sequence[NDArray[Any]]) -> DayStatistics:
    """Sum up visit days by date.

    Parameters
    ----------
    dataset : Dataset
        Whole users.
    values : sequence of C arrays [N]
        Columns to take mean and variance of, each in 0..32.
    """
    eligible = position_in_history(dataset) >= MINIMUM_HISTORY
    slices = [slice(start, start + _ROWS_AT_A_TIME) for start in range(0, dataset.visit_days, _ROWS_AT_A_TIME)]
    parts = [_of_rows(dataset, eligible, values, rows) for rows in slices]
    return merge([empty(len(values)), *parts])


def empty(columns: int) -> DayStatistics:
    """Statistics of no visit day."""
    shapes = {"first_hours": (0, HOURS), "visited_hours": (0, HOURS), "sums": (0, columns), "squares": (0, columns, 3)}
    return DayStatistics(
        **{field.name: np.zeros(shapes.get(field.name, (0,)), dtype=np.int64) for field in fields(DayStatistics)}
    )


def merge(parts: Sequence[DayStatistics]) -> DayStatistics:
    """Add statistics of different users."""
    dates = np.unique(np.concatenate([part.dates for part in parts]))
    merged = {}
    for name in (field.name for field in fields(DayStatistics) if field.name != "dates"):
        merged[name] = np.zeros((len(dates), *getattr(parts[0], name).shape[1:]), dtype=np.int64)
        for part in parts:
            merged[name][np.searchsorted(dates, part.dates)] += getattr(part, name)
    return DayStatistics(dates=dates, **merged)


def before(statistics: DayStatistics, date: int) -> DayStatistics:
    """Keep the dates before a date."""
    kept = statistics.dates < date
    return DayStatistics(**{field.name: getattr(statistics, field.name)[kept] for field in fields(DayStatistics)})


def mean_and_variance(statistics: DayStatistics) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population variance of every value over all dates, [C] each: exact ratios, rounded once."""
    rows = int(statistics.visit_days.sum())
    means, variances = [], []
    for column in range(statistics.sums.shape[1]):
        # Python's integers: the sums over all dates may need more than 64 bits.
        total = sum(statistics.sums[:, column].tolist())
        high, mixed, low = (sum(statistics.squares[:, column, part].tolist()) for part in range(3))
        squares = (high << 2 * _LOW_BITS) + (mixed << _LOW_BITS + 1) + low
        means.append(total / (rows << _FRACTION_BITS))
        variances.append((rows * squares - total * total) / (rows * rows << 2 * _FRACTION_BITS))
    return np.array(means), np.array(variances)


def _of_rows(
    dataset: Dataset, eligible: NDArray[np.bool_], values: Sequence[NDArray[Any]], rows: slice
) -> DayStatistics:
    first_date = int(dataset.visit_date[rows].min())
    since = dataset.visit_date[rows] - first_date
    visit_days = np.bincount(since)
    dates = np.flatnonzero(visit_days)
    number = np.cumsum(visit_days > 0) - 1
    day = number[since]  # Position in `dates`.
    count = len(dates)

    def total(weights: NDArray[Any]) -> Counts:
        return np.bincount(day, weights, count).astype(np.int64)

    mask = dataset.hourly_visits[rows]
    visited = []
    for shift in range(0, HOURS, _NIBBLE):
        codes = np.bincount(day << _NIBBLE | (mask >> shift) & 15, minlength=count << _NIBBLE).reshape(count, -1)
        visited.append(codes @ (np.arange(16)[:, None] >> np.arange(_NIBBLE) & 1))
    first = np.bincount(day * HOURS + dataset.first_visit_hour[rows], minlength=count * HOURS)
    sums, squares = [], []
    for column in values:
        scaled = np.rint(np.ldexp(column[rows].astype(np.float64), _FRACTION_BITS))
        high = np.floor(np.ldexp(scaled, -_LOW_BITS))
        low = scaled - np.ldexp(high, _LOW_BITS)
        sums.append(total(scaled))
        squares.append(np.stack([total(high * high), total(high * low), total(low * low)], axis=1))
    return DayStatistics(
        dates=dates + first_date,
        visit_days=visit_days[dates],
        eligible=total(eligible[rows]),
        first_hours=first.reshape(count, HOURS),
        visited_hours=np.concatenate(visited, axis=1),
        sums=np.stack(sums, axis=1),
        squares=np.stack(squares, axis=1),
    )
