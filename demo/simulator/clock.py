"""Local days of a time zone, cut into real hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from visitcast.data.calendar import days_since_epoch, is_weekend

SLOT_SECONDS = 3600
MAX_SLOTS = 25
"""Slots of the longest local day: the one on which the clocks go back."""


@dataclass(frozen=True)
class Clock:
    """The local days of Z zones on D common dates.

    Attributes
    ----------
    dates : int32 [D]
        Local dates, days since 1970-01-01.
    day_start : int64 [Z, D]
        UTC seconds at which the local day begins.
    slots : int64 [Z, D]
        Real hours of the local day: 23, 24 or 25; 0 for a day that is not entirely in the simulated time.
    hour : int8 [Z, D, 25]
        Local hour on the clock in each slot, -1 beyond the day's last slot.
    offset_minutes : int16 [Z, D, 25]
        Local time minus UTC in each slot.
    """

    dates: NDArray[np.int32]
    day_start: NDArray[np.int64]
    slots: NDArray[np.int64]
    hour: NDArray[np.int8]
    offset_minutes: NDArray[np.int16]

    @property
    def exposure(self) -> NDArray[np.int64]:
        """Real hours that each clock hour lasts, [Z, D, 24]: 0, 1 or 2."""
        hours = np.arange(24, dtype=np.int8)
        return np.asarray((self.hour[..., None, :] == hours[:, None]).sum(axis=-1))

    @property
    def weekend(self) -> NDArray[np.bool_]:
        """Return whether each date is a Saturday or Sunday, bool [D]."""
        return is_weekend(self.dates)


def make_clock(zones: tuple[str, ...], first: date, days: int) -> Clock:
    """Return the local days that are entirely between UTC midnight of `first` and `days` days later.

    Parameters
    ----------
    zones : tuple of str
        IANA names.
    first : date
        First UTC date.
    days : int
        Number of UTC dates.

    Raises
    ------
    ValueError
        If a zone shifts its clock by anything but whole hours, on anything but a full hour (Lord Howe Island).
    """
    opens = int(datetime.combine(first, time(), UTC).timestamp())
    closes = opens + days * 86_400
    shape = (len(zones), days)
    day_start = np.zeros(shape, np.int64)
    slots = np.zeros(shape, np.int64)
    hour = np.full((*shape, MAX_SLOTS), -1, np.int8)
    offset = np.zeros((*shape, MAX_SLOTS), np.int16)
    for z, name in enumerate(zones):
        zone = ZoneInfo(name)
        starts = [_midnight(first + timedelta(days=d), zone) for d in range(days + 1)]
        for d, (start, end) in enumerate(pairwise(starts)):
            count, rest = divmod(end - start, SLOT_SECONDS)
            if rest or not 0 < count <= MAX_SLOTS:
                raise ValueError(f"{name} has a day of {end - start} s: only shifts by one whole hour are known.")
            day_start[z, d] = start
            if start < opens or end > closes:
                continue
            slots[z, d] = count
            for s in range(count):
                local = datetime.fromtimestamp(start + s * SLOT_SECONDS, zone)
                if local.minute or local.second:
                    raise ValueError(f"{name} changes its clock within an hour on {local.date()}: cannot be simulated.")
                hour[z, d, s] = local.hour
                offset[z, d, s] = _offset_minutes(local)
    dates = (np.arange(days) + days_since_epoch(first)).astype(np.int32)
    return Clock(dates, day_start, slots, hour, offset)


def _midnight(day: date, zone: ZoneInfo) -> int:
    """UTC seconds at which a local day begins; where 00:00 is skipped, the instant of the skip (PEP 495, fold 0)."""
    return int(datetime.combine(day, time(), zone).timestamp())


def _offset_minutes(local: datetime) -> int:
    offset = local.utcoffset()
    if offset is None:
        raise ValueError(f"{local!r} has no offset from UTC.")
    return int(offset.total_seconds()) // 60
