"""Pushes of all campaigns around a date, planned or sent, and what they leave possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.errors import InputError
from visitcast.sending.send_times import NEVER, LocalHours
from visitcast.sending.send_window import SendRules

WEEK: Final = 7
_ROWS: Final = 100_000
_COLUMNS: Final = (schema.USER_ID, schema.PUSHED_AT, schema.PUSHED_ON, schema.OPTED_OUT)


@dataclass(frozen=True)
class Pushes:
    """Other pushes of the users of a list, and who wants none.

    Attributes
    ----------
    user : int32 array [pushes]
        Row in the user list.
    minute : int32 array [pushes]
        Instant, minutes since 1970-01-01T00:00Z.
    day : int32 array [pushes]
        Local date, days since 1970-01-01.
    opted_out : bool array [users]
        Users who do not want any push.
    """

    user: NDArray[np.int32]
    minute: NDArray[np.int32]
    day: NDArray[np.int32]
    opted_out: NDArray[np.bool_]


def no_pushes(users: int) -> Pushes:
    """Return that nobody of so many users got a push or opted out."""
    none = np.zeros(0, dtype=np.int32)
    return Pushes(none, none, none, np.zeros(users, dtype=bool))


def read_pushes(files: Sequence[Path], ids: Any) -> Pushes:
    """Read the result of pushes.sql.

    Parameters
    ----------
    files : sequence of Path
        CSV with one row per user: ``user_id``, ``pushed_at``, ``pushed_on`` and ``opted_out``.
    ids : pyarrow.ChunkedArray of str
        The user list. Other users are left out.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    index = pd.Index(ids.to_pandas())
    opted_out = np.zeros(len(index), dtype=bool)
    parts = [(np.zeros(0, dtype=np.int32),) * 3]
    for file, batch in _batches(files):
        row = index.get_indexer(pd.Index(batch[schema.USER_ID].to_pandas()))
        wants_none = batch[schema.OPTED_OUT].to_pandas().to_numpy() == "1"
        opted_out[row[wants_none & (row >= 0)]] = True
        pushed = (row >= 0) & batch[schema.PUSHED_AT].is_valid().to_numpy(zero_copy_only=False)
        known = batch.filter(pa.array(pushed))
        minutes, days = (pc.split_pattern(known[name], " ") for name in (schema.PUSHED_AT, schema.PUSHED_ON))
        try:
            minute, day = (pc.list_flatten(lists).cast(pa.int32()).to_numpy() for lists in (minutes, days))
        except pa.ArrowException as error:
            raise _unreadable(file, error) from error
        user = np.repeat(row[pushed].astype(np.int32), pc.list_value_length(minutes).to_numpy())
        parts.append((user, minute, day))
    user, minute, day = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Pushes(user, minute, day, opted_out)


def _batches(files: Sequence[Path]) -> Iterator[tuple[Path, pa.RecordBatch]]:
    """Read files in blocks: all lists of numbers as text at once would take the most memory of the whole plan."""
    types: dict[str, Any] = dict.fromkeys(_COLUMNS, pa.string())
    # Athena quotes every value and leaves NULL unquoted. Arrow's own words for NULL are names of users too.
    options = pyarrow.csv.ConvertOptions(
        column_types=types,
        include_columns=list(_COLUMNS),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    for file in files:
        try:
            with pyarrow.csv.open_csv(file, parse_options=parse, convert_options=options) as reader:
                for batch in reader:
                    yield file, batch
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> InputError:
    return InputError(
        f"The pushes {file.name} cannot be read.", str(error), "Supply the result of pushes.sql unchanged."
    )


def too_near(pushes: Pushes, hours: LocalHours, gap_minutes: int) -> NDArray[np.bool_]:
    """Return the hours that are nearer than the gap to another push of the user, before or after it.

    Parameters
    ----------
    pushes : Pushes
        Of the users of `hours`.
    hours : LocalHours
        When the hours begin.
    gap_minutes : int
        Smallest time between two pushes.

    Returns
    -------
    bool array [users, 24]
    """
    found = np.zeros((len(hours.clock), hours.utc.shape[1]), dtype=bool)
    exists = hours.utc[hours.utc != NEVER].astype(np.int64)
    if not len(exists):
        return found
    near = (pushes.minute > exists.min() - gap_minutes) & (pushes.minute < exists.max() + gap_minutes)
    user, minute = pushes.user[near], pushes.minute[near]
    order = np.argsort(user, kind="stable")
    user, minute = user[order], minute[order]
    rank = np.arange(len(user)) - np.searchsorted(user, user)
    # Of each user one push at a time, and of so many users: a table of all pushes and hours would not fit into memory.
    for number in range(int(rank.max(initial=-1)) + 1):
        chosen = np.flatnonzero(rank == number)
        for start in range(0, len(chosen), _ROWS):
            rows = chosen[start : start + _ROWS]
            hours_of_rows = hours.utc[hours.clock[user[rows]]]
            found[user[rows]] |= np.abs(hours_of_rows - minute[rows, None]) < gap_minutes
    return found


def at_caps(pushes: Pushes, users: int, date: int, rules: SendRules) -> NDArray[np.bool_]:
    """Return the users who can get no further push on a date: it has as many as may be, or a week around it has.

    Parameters
    ----------
    pushes : Pushes
        Of so many `users`.
    date : int
        Days since 1970-01-01.
    rules : SendRules
        Their caps.

    Returns
    -------
    bool array [users]
    """
    counts = np.zeros((users, 2 * WEEK - 1), dtype=np.int16)
    place = pushes.day - date + WEEK - 1
    inside = (place >= 0) & (place < counts.shape[1])
    np.add.at(counts, (pushes.user[inside], place[inside]), 1)
    full: NDArray[np.bool_] = counts[:, WEEK - 1] >= rules.most_a_day
    for first in range(WEEK):
        full |= counts[:, first : first + WEEK].sum(axis=1) >= rules.most_a_week
    return full
