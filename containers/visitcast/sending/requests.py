"""First job: recent histories in, request lines for the batch transform and the list of all users out.

Users with enough visit days get a request line. All others get a forecast from the priors of their group at once; they
need no model, and the transform's time goes where it counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, platform_codes, select_users
from visitcast.data.protocol import MINIMUM_HISTORY
from visitcast.data.schema import HOURS
from visitcast.errors import InputError
from visitcast.sending.audience import LAST_PUSH_AT, LAST_VISIT_DATE, TIME_ZONE
from visitcast.sending.priors import SOURCES, Habits, answer, habits_of, hour_counts, priors_of

HISTORY_DAYS: Final = "history_days"
SOURCE: Final = "source"
FIRST_SHARES: Final = "first_visit_hour"
VISIT_SHARES: Final = "visit_hour"

_VISIT_COLUMNS: Final = tuple(column for column in schema.VISITS if column.name != schema.USER_ID)
_VISIT_LINE: Final = (
    "{"
    + ",".join(f'"{column.name}":' + ("%d" if column.kind == "integer" else '"%s"') for column in _VISIT_COLUMNS)
    + "}"
)
_PLATFORM_NAMES: Final = np.array(schema.PLATFORMS)


@dataclass
class Collected:
    """What is kept of the users while their histories pass by."""

    user_ids: list[NDArray[np.str_]]
    platform: list[NDArray[np.int8]]
    utc_offset_minutes: list[NDArray[np.int16]]
    last_visit_date: list[NDArray[np.int32]]
    history_days: list[NDArray[np.int64]]
    few_days: list[Dataset]
    """Users whose history is too short for the model."""
    habits: Habits | None = None


def write_requests(blocks: Iterator[Dataset], date: int, folder: Path, users_per_file: int) -> Collected:
    """Write the request lines of all users with enough visit days, and keep what the user list needs.

    Parameters
    ----------
    blocks : iterator of Dataset
        Recent visit days; whole users, each once.
    date : int
        Date to forecast, days since 1970-01-01.
    folder : Path
        Gets ``requests-00000.jsonl`` and so on; none when nobody has enough visit days.
    users_per_file : int
        Lines in each file but the last.

    Raises
    ------
    InputError
        A visit is not before the date.
    """
    collected = Collected([], [], [], [], [], [])
    files = _Files(folder, users_per_file)
    for block in blocks:
        if block.visit_date.max() >= date:
            raise InputError(
                "A visit is not before the date to forecast.",
                f"The latest is of {_iso(int(block.visit_date.max()))}, the forecast is for {_iso(date)}.",
                "Let the source SQL read days before the forecast date only.",
            )
        collected.habits = (
            habits_of(block, date) if collected.habits is None else collected.habits + habits_of(block, date)
        )
        days = np.diff(block.offsets)
        last = block.offsets[1:] - 1
        collected.user_ids.append(block.user_ids)
        collected.platform.append(block.platform[last])
        collected.utc_offset_minutes.append(block.utc_offset_minutes[last])
        collected.last_visit_date.append(block.visit_date[last])
        collected.history_days.append(days)
        collected.few_days.append(select_users(block, np.flatnonzero(days < MINIMUM_HISTORY)))
        files.write(request_lines(select_users(block, np.flatnonzero(days >= MINIMUM_HISTORY)), date))
    files.close()
    return collected


def request_lines(dataset: Dataset, date: int) -> list[str]:
    """One JSON line for each user: the endpoint's request for that user alone."""
    values = {column.name: getattr(dataset, column.name, None) for column in _VISIT_COLUMNS}
    values[schema.VISIT_DATE] = np.datetime_as_string(dataset.visit_date.astype("datetime64[D]"))
    values[schema.PLATFORM] = _PLATFORM_NAMES[dataset.platform]
    for kind, name in enumerate(schema.PAGE_VIEWS_BY_TYPE):
        values[name] = dataset.page_views_by_type[:, kind]
    columns = [np.asarray(values[column.name]).tolist() for column in _VISIT_COLUMNS]
    visits = [_VISIT_LINE % row for row in zip(*columns, strict=True)]
    day, bounds = _iso(date), dataset.offsets.tolist()
    return [
        f'{{"user_id":{json.dumps(user)},"date":"{day}","visits":[{",".join(visits[start:end])}]}}\n'
        for user, start, end in zip(dataset.user_ids.tolist(), bounds, bounds[1:], strict=False)
    ]


class _Files:
    """Cuts lines into files of a given length."""

    def __init__(self, folder: Path, lines_per_file: int) -> None:
        self._folder = folder
        self._lines_per_file = lines_per_file
        self._waiting: list[str] = []
        self._written = 0

    def write(self, lines: Sequence[str]) -> None:
        self._waiting += lines
        while len(self._waiting) >= self._lines_per_file:
            self._flush(self._lines_per_file)

    def close(self) -> None:
        if self._waiting:
            self._flush(len(self._waiting))

    def _flush(self, count: int) -> None:
        file = self._folder / f"requests-{self._written:05d}.jsonl"
        file.write_text("".join(self._waiting[:count]), encoding="utf-8")
        self._waiting = self._waiting[count:]
        self._written += 1


def user_table(collected: Collected, audience: pd.DataFrame) -> pa.Table:
    """List every user to forecast: those with recent visits, then the rest of the audience.

    Parameters
    ----------
    collected : Collected
        What :func:`write_requests` kept.
    audience : DataFrame
        What :func:`visitcast.sending.audience.read_audience` gave.

    Returns
    -------
    pyarrow.Table
        ``user_id``, ``platform``, ``utc_offset_minutes``, ``time_zone``, ``last_visit_date``, ``history_days``,
        ``last_push_at``, ``source``; and the forecast by priors where ``source`` is not ``model``.
    """
    ids = np.concatenate(collected.user_ids)
    recent = pd.DataFrame(
        {
            schema.PLATFORM: _PLATFORM_NAMES[np.concatenate(collected.platform)],
            schema.UTC_OFFSET_MINUTES: np.concatenate(collected.utc_offset_minutes),
            LAST_VISIT_DATE: np.concatenate(collected.last_visit_date).astype("datetime64[D]"),
            HISTORY_DAYS: np.concatenate(collected.history_days),
        },
        index=pd.Index(ids.astype(object), name=schema.USER_ID),
    )
    absent = audience.loc[audience.index.difference(recent.index)]
    users = pd.concat([recent, absent[[schema.PLATFORM, schema.UTC_OFFSET_MINUTES, LAST_VISIT_DATE]]])
    users = users.join(audience[[TIME_ZONE, LAST_PUSH_AT]])
    users[HISTORY_DAYS] = users[HISTORY_DAYS].fillna(0).astype("int32")
    # A user of whom nothing is known: the platform "other", and UTC.
    users[schema.PLATFORM] = users[schema.PLATFORM].fillna("other")
    users[schema.UTC_OFFSET_MINUTES] = users[schema.UTC_OFFSET_MINUTES].fillna(0).astype("int16")
    return _with_priors(users, collected)


def _with_priors(users: pd.DataFrame, collected: Collected) -> pa.Table:
    assert collected.habits is not None  # nosec B101 # read_blocks gives at least one block
    short = np.flatnonzero(users[HISTORY_DAYS].to_numpy() < MINIMUM_HISTORY)
    first_counts = np.zeros((len(short), HOURS), dtype=np.float32)
    visited_counts = np.zeros_like(first_counts)
    place = pd.Index(users.index[short])
    for part in collected.few_days:
        rows = place.get_indexer(pd.Index(part.user_ids.astype(object)))
        first_counts[rows], visited_counts[rows] = hour_counts(part)
    first, visited, source = answer(
        priors_of(collected.habits),
        platform_codes(users[schema.PLATFORM].to_numpy(dtype=object)[short]),
        users[schema.UTC_OFFSET_MINUTES].to_numpy()[short],
        first_counts,
        visited_counts,
        users[HISTORY_DAYS].to_numpy()[short].astype(np.int64),
    )
    code = np.zeros(len(users), dtype=np.int8)
    code[short] = source
    return pa.table(
        {
            schema.USER_ID: pa.array(users.index, pa.string()),
            schema.PLATFORM: pa.array(users[schema.PLATFORM], pa.string()),
            schema.UTC_OFFSET_MINUTES: pa.array(users[schema.UTC_OFFSET_MINUTES], pa.int16()),
            TIME_ZONE: pa.array(users[TIME_ZONE], pa.string(), from_pandas=True),
            LAST_VISIT_DATE: pa.array(users[LAST_VISIT_DATE].to_numpy("datetime64[D]"), pa.date32()),
            HISTORY_DAYS: pa.array(users[HISTORY_DAYS], pa.int32()),
            LAST_PUSH_AT: pa.array(users[LAST_PUSH_AT], pa.timestamp("s"), from_pandas=True),
            SOURCE: pa.array(np.array(SOURCES)[code], pa.string()),
            FIRST_SHARES: _lists(first, short, len(users)),
            VISIT_SHARES: _lists(visited, short, len(users)),
        }
    )


def _lists(values: NDArray[np.float32], rows: NDArray[np.int64], count: int) -> Any:
    """Make lists of 24 in some rows, null in the others."""
    lengths = np.zeros(count, dtype=np.int32)
    lengths[rows] = HOURS
    offsets: Any = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    missing: Any = pa.array(lengths == 0)
    return pa.ListArray.from_arrays(offsets, pa.array(values.ravel()), mask=missing)


def write_users(folder: Path, users: pa.Table) -> None:
    """Write the user list."""
    pq.write_table(users, folder / "users.parquet", compression="zstd")


def _iso(day: int) -> str:
    return str(np.datetime64(day, "D"))
