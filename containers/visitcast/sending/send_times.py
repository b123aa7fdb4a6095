"""Local hours as instants, correct across clock changes, odd offsets and the date line.

A zone knows of clock changes since the last visit. A user has the IANA time zone that the audience names, else the one
inferred from the visits (:mod:`visitcast.sending.zones`); a user with neither keeps the UTC offset of the last visit.
Instants are minutes since 1970-01-01T00:00Z, which int32 holds until the year 6053.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
from numpy.typing import NDArray

from visitcast.data.schedule import MINUTES_A_DAY
from visitcast.data.schema import HOURS

NEVER: Final = np.iinfo(np.int32).max
"""Stands for the instant of an hour on a date that a time zone leaves out (Samoa had no 2011-12-30)."""

_EPOCH: Final = datetime(1970, 1, 1)  # local clock readings carry no zone

Minutes = NDArray[np.int32]


@dataclass(frozen=True)
class LocalHours:
    """The hours of a local date, for users that share few clocks.

    Attributes
    ----------
    clock : int64 array [rows]
        Row of the tables for each user.
    utc : int32 array [clocks, 24]
        Instant at which each hour begins, minutes since the epoch; ``NEVER`` where the date does not exist.
    local : int32 array [clocks, 24]
        What the wall clock shows then, as minutes since the epoch.
    """

    clock: NDArray[np.int64]
    utc: Minutes
    local: Minutes

    def at(self, hours: NDArray[Any]) -> tuple[Minutes, Minutes]:
        """Return the instants and the wall clock readings of one hour per user, each [rows]."""
        return self.utc[self.clock, hours], self.local[self.clock, hours]


def local_hours(
    date_: int,
    utc_offset_minutes: NDArray[np.int16],
    time_zone: NDArray[Any] | None = None,
    inferred_time_zone: NDArray[Any] | None = None,
) -> LocalHours:
    """Compute when each local hour begins for each user.

    Parameters
    ----------
    date_ : int
        Local date, days since 1970-01-01.
    utc_offset_minutes : int16 array [rows]
        Minutes east of UTC, used where no zone is given.
    time_zone : object array [rows] of str or None, optional
        IANA names. A name that the zone data do not know counts as not given (see :func:`unknown_zones`).
    inferred_time_zone : object array [rows] of str or None, optional
        IANA names, used where none is given.
    """
    zones = np.full(len(utc_offset_minutes), "", dtype="U1")
    for preferred in (inferred_time_zone, time_zone):
        if preferred is not None:
            known = _known(preferred)
            zones = np.where(known == "", zones, known)
    names, zone = np.unique(zones, return_inverse=True)
    # With a zone the offset does not matter.
    offset = np.where(zones == "", utc_offset_minutes.astype(np.int64), 0)
    clocks, clock = np.unique(np.stack([zone, offset], axis=1), axis=0, return_inverse=True)
    tables = [clock_of(str(names[z]), int(minutes), date_) for z, minutes in clocks]
    utc, local = np.stack(tables, axis=1) if tables else np.empty((2, 0, HOURS), dtype=np.int32)
    return LocalHours(clock.reshape(-1), utc, local)


def unknown_zones(time_zone: NDArray[Any]) -> list[str]:
    """Return the names that the zone data do not know, sorted."""
    return sorted({name for name in time_zone if isinstance(name, str) and name} - all_zones())


def _known(time_zone: NDArray[Any]) -> NDArray[np.str_]:
    known = all_zones()
    return np.array([name if name in known else "" for name in time_zone], dtype=np.str_)


@lru_cache(maxsize=1)
def all_zones() -> frozenset[str]:
    """Return the names that the zone data know."""
    return frozenset(available_timezones())


@lru_cache(maxsize=4096)
def clock_of(zone: str, offset_minutes: int, day: int) -> Minutes:
    """Return the instants and wall clock readings of one date's hours on one clock, [2, 24]."""
    midnight = day * MINUTES_A_DAY
    if not zone:
        local = midnight + 60 * np.arange(HOURS)
        return np.stack([local - offset_minutes, local]).astype(np.int32)
    clock = ZoneInfo(zone)
    hours = [_begin(clock, _EPOCH + timedelta(minutes=midnight + 60 * hour)) for hour in range(HOURS)]
    return np.array(_on_the_date(hours, midnight), dtype=np.int32).T


def _on_the_date(hours: list[tuple[int, int]], midnight: int) -> list[tuple[int, int]]:
    """Move hours beyond the end of the date back to the last hour on it."""
    on_date = [hour for hour in hours if midnight <= hour[1] < midnight + MINUTES_A_DAY]
    if not on_date:
        return [(NEVER, NEVER)] * HOURS
    return [hour if hour in on_date else on_date[-1] for hour in hours]


def _begin(zone: tzinfo, wall: datetime) -> tuple[int, int]:
    """Return the instant at which a clock first shows a reading, or skips it, and what the clock shows then.

    If a reading occurs twice, the first time counts.
    """
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall(zone, instant) != wall:
        # PEP 495: in a gap, fold 0 lands after the change and fold 1 before it.
        instant = change(zone, wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant)
    return _minutes(instant.replace(tzinfo=None)), _minutes(_wall(zone, instant))


def change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """Find the minute at which a clock changes its offset, by bisection."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(minutes=1):
        middle = before + timedelta(minutes=_minutes_between(before, after) // 2)
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    return after


def _wall(zone: tzinfo, instant: datetime) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def _minutes_between(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() / 60)


def _minutes(reading: datetime) -> int:
    return round((reading - _EPOCH).total_seconds() / 60)
