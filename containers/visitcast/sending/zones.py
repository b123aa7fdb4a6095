"""Infer time zones from the UTC offsets of users' visits.

A zone explains a visit if it had the visit's offset at that instant. The zones that explain a user's visits tell the
offset on the date to forecast, if all of them have the same clock on it: New York and Toronto need not be told apart,
Berlin and Lagos must be, which takes visits in summer.

All names of the zone data are candidates, those of fixed offsets included: a clock that never changes is that of
Lagos, or of a machine set to UTC. So a user who stayed is given a clock that is right, or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from visitcast.data import schema
from visitcast.data.dataset import Dataset, user_of_row
from visitcast.data.schedule import MINUTES_A_DAY
from visitcast.sending.send_times import all_zones, change, clock_of

RECORD_DAYS: Final = 400
"""Visits of so many days before the date count: a year, so that there is a summer and a winter, and a month."""
SHARE: Final = 0.8
"""A zone must explain this share of a user's visit days: a traveller is not at home where he spent a holiday."""
FEWEST_OTHERS: Final = 20
"""Users whose zones are inferred must be at least so many to decide for others."""
SHARE_OF_OTHERS: Final = 0.95
"""This share of them must have the same clock on the date."""


@dataclass(frozen=True)
class ZoneTable:
    """Offsets of all zones before a date; zones that do not differ are one.

    Attributes
    ----------
    names : object array [zones]
        A name of each.
    starts : int64 array [segments - 1]
        Instants at which a clock changes anywhere, minutes since 1970-01-01T00:00Z.
    offsets : int64 array [zones, segments]
        Minutes east of UTC before the first of these instants, between two of them, and after the last.
    clock : int64 array [zones]
        Equal for zones whose clocks show the same on the date.
    """

    names: NDArray[Any]
    starts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    clock: NDArray[np.int64]


@dataclass(frozen=True)
class Inferred:
    """What the records of some users tell.

    Attributes
    ----------
    zone : int64 array [users]
        Row of the zone table; -1 where the record does not tell the clock on the date.
    segment, offset : int64 arrays [users]
        Of the last visit day: column of the zone table, and minutes east of UTC. The segment is -1 if that day is not
        in the record.
    """

    zone: NDArray[np.int64]
    segment: NDArray[np.int64]
    offset: NDArray[np.int64]


@lru_cache(maxsize=64)
def zone_table(date: int) -> ZoneTable:
    """Tabulate the offsets of all zones in the record of a date; `date` is days since 1970-01-01."""
    names = sorted(all_zones())
    first, last = date - RECORD_DAYS, date + 2
    changes = [_changes(ZoneInfo(name), first, last) for name in names]
    starts = np.unique([instant for of_zone in changes for instant, _ in of_zone[1:]]).astype(np.int64)
    begins = np.concatenate([[(first - 1) * MINUTES_A_DAY], starts])
    offsets = np.empty((len(names), len(begins)), dtype=np.int64)
    for row, of_zone in zip(offsets, changes, strict=True):
        instants, values = zip(*of_zone, strict=True)
        row[:] = np.array(values)[np.searchsorted(instants, begins, side="right") - 1]
    offsets, kept = np.unique(offsets, axis=0, return_index=True)
    kept_names = np.array(names, dtype=object)[kept]
    clocks = np.stack([clock_of(name, 0, date).ravel() for name in kept_names])
    clock = np.unique(clocks, axis=0, return_inverse=True)[1].reshape(-1)
    return ZoneTable(kept_names, starts, offsets, clock)


def _changes(zone: ZoneInfo, first: int, last: int) -> list[tuple[int, int]]:
    """Return the instants at which a clock changes, with the offsets from then on; the first is before `first`."""
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=first - 1)
    found = [((first - 1) * MINUTES_A_DAY, _offset(zone, start))]
    for _ in range(first - 1, last):
        end = start + timedelta(days=1)
        if (offset := _offset(zone, end)) != found[-1][1]:
            found.append((int(change(zone, start, end).timestamp()) // 60, offset))
        start = end
    return found


def _offset(zone: ZoneInfo, instant: datetime) -> int:
    offset = instant.astimezone(zone).utcoffset() or timedelta()
    return round(offset.total_seconds() / 60)


def infer(block: Dataset, date: int) -> Inferred:
    """Infer the clocks of some users on a date.

    Of the zones that explain a user's last visit day, those that explain most visit days are the candidates. They must
    explain ``SHARE`` of the days, and all have the same clock on the date.

    Parameters
    ----------
    block : Dataset
        Visit days before the date; each user has one at least.
    date : int
        Local date, days since 1970-01-01.
    """
    table = zone_table(date)
    offset = block.utc_offset_minutes.astype(np.int64)
    # A visit day has the offset of its last event, of which the hour is known.
    begins = block.visit_date * np.int64(MINUTES_A_DAY) + 60 * np.int64(block.last_visit_hour) - offset
    segment = np.searchsorted(table.starts, begins + 59, side="right")
    rows = np.flatnonzero(block.visit_date >= date - RECORD_DAYS)
    # Few distinct numbers for millions of visits. A clock may change within the hour.
    before, segments = np.searchsorted(table.starts, begins[rows], side="right"), table.offsets.shape[1]
    number = ((before * segments + segment[rows]) << 11) + offset[rows] - schema.WESTERNMOST_MINUTES
    distinct, kind = np.unique(number, return_inverse=True)
    before, after = np.divmod(distinct >> 11, segments)
    seen = (distinct & 0x7FF) + schema.WESTERNMOST_MINUTES
    explained = ((table.offsets[:, before] == seen) | (table.offsets[:, after] == seen)).T
    ones = np.ones(len(rows), dtype=np.float32)
    days: Any = coo_array((ones, (user_of_row(block)[rows], kind)), shape=(block.users, len(distinct))).tocsr()
    counts = days @ explained.astype(np.float32)

    last = block.offsets[1:] - 1
    kind_of_row = np.full(block.visit_days, -1)
    kind_of_row[rows] = kind
    kind_of_last = kind_of_row[last]
    known = np.flatnonzero(kind_of_last >= 0)
    counts[known] *= explained[kind_of_last[known]]
    most = counts.max(axis=1)
    candidates = counts == most[:, None]
    clock = np.where(candidates, table.clock, -1).max(axis=1)
    agreed = (~candidates | (table.clock == clock[:, None])).all(axis=1)
    enough = (kind_of_last >= 0) & (most > 0) & (most >= SHARE * days.sum(axis=1))
    zone = np.where(enough & agreed, candidates.argmax(axis=1), -1)
    return Inferred(zone, np.where(kind_of_last >= 0, segment[last], -1), offset[last])


def names(blocks: Sequence[Inferred], date: int) -> NDArray[Any]:
    """Return the names of users' zones, None where it is not known, object array [users of all blocks].

    Where a user's own record does not tell the clock on the date, the other users decide, if nearly all agree: those
    whose zone is inferred and explains the user's last visit day.
    """
    found = Inferred(*(np.concatenate([getattr(one, field.name) for one in blocks]) for field in fields(Inferred)))
    zone = _by_others(found, date)
    found_names = zone_table(date).names[zone]
    found_names[zone < 0] = None
    return found_names


def _by_others(found: Inferred, date: int) -> NDArray[np.int64]:
    """Return the rows of the zone table, -1 where neither the record nor others tell the clock, [users]."""
    table, zone = zone_table(date), found.zone.copy()
    users_of_zone = np.bincount(zone[zone >= 0], minlength=len(table.names))
    unknown = np.flatnonzero((zone < 0) & (found.segment >= 0))
    keys, group = np.unique(np.stack([found.segment[unknown], found.offset[unknown]]), axis=1, return_inverse=True)
    chosen = np.full(keys.shape[1], -1)
    for number, (segment, offset) in enumerate(keys.T):
        others = users_of_zone * (table.offsets[:, segment] == offset)
        of_clock = np.bincount(table.clock, others)
        if others.sum() >= FEWEST_OTHERS and of_clock.max() >= SHARE_OF_OTHERS * others.sum():
            chosen[number] = np.where(table.clock == of_clock.argmax(), others, -1).argmax()
    zone[unknown] = chosen[group.reshape(-1)]
    return zone
