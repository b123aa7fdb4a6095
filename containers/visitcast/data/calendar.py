"""Dates as whole days since 1970-01-01, a Thursday."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

EPOCH: Final = date(1970, 1, 1)
SATURDAY: Final = 5

_DAYS: Final = np.dtype("datetime64[D]")
_MONTHS: Final = np.dtype("datetime64[M]")


def days_since_epoch(day: date) -> int:
    """Count the days since 1970-01-01."""
    return (day - EPOCH).days


def date_of(days: int) -> date:
    """Return the date that is a number of days after 1970-01-01."""
    return EPOCH + timedelta(days=days)


def weekday(dates: NDArray[Any]) -> NDArray[np.int64]:
    """Return the day of the week of each date; Monday is 0."""
    return (dates.astype(np.int64) + 3) % 7


def is_weekend(dates: NDArray[Any]) -> NDArray[np.bool_]:
    """Return whether each date is a Saturday or a Sunday."""
    return weekday(dates) >= SATURDAY


def month_and_day(dates: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the month, 1..12, and the day of the month, 1..31, of each date."""
    days = dates.astype(_DAYS)
    months = days.astype(_MONTHS)
    return months.view(np.int64) % 12 + 1, (days - months).view(np.int64) + 1
