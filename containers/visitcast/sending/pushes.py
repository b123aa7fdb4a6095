"""Pushes of all campaigns around a date, planned or sent, and what they leave possible."""

from __future__ import annotations

from collections.abc import Sequence
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
_COLUMNS: Final = (schema.USER_ID, schema.PUSHED_AT, schema.PUSHED_ON, schema.OPTED_OUT)


@dataclass(frozen=True)
class Pushes:
    """Other pushes of the users of a list, and who wants none.

    Attributes
    ----------
    user : int64 array [pushes]
        Row in the user list.
    minute : int64 array [pushes]
        Instant, minutes since 1970-01-01T00:00Z.
    day : int64 array [pushes]
        Local date, days since 1970-01-01.
    opted_out : bool array [users]
        Users who do not want any push.
    """

    user: NDArray[np.int64]
    minute: NDArray[np.int64]
    day: NDArray[np.int64]
    opted_out: NDArray[np.bool_]


def no_pushes(users: int) -> Pushes:
    """Return that nobody of so many users got a push or opted out."""
    none = np.zeros(0, dtype=np.int64)
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
    types: dict[str, Any] = dict.fromkeys(_COLUMNS, pa.string())
    options = pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(_COLUMNS), strings_can_be_null=True)
    found = no_pushes(len(index))
    for file in files:
        try:
            table = pyarrow.csv.read_csv(file, convert_options=options)
            row = index.get_indexer(pd.Index(table[schema.USER_ID].to_pandas()))
            pushed = table[schema.PUSHED_AT].is_valid()
            minutes, days = (
                pc.split_pattern(table[name].filter(pushed), " ") for name in (schema.PUSHED_AT, schema.PUSHED_ON)
            )
            user = np.repeat(row[pushed.to_numpy()], pc.list_value_length(minutes).to_numpy())
            numbers = (pc.list_flatten(lists).cast(pa.int64()).to_numpy() for lists in (minutes, days))
            minute, day = (values[user >= 0] for values in numbers)
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            raise InputError(
                f"The pushes {file.name} cannot be read.", str(error), "Supply the result of pushes.sql unchanged."
            ) from error
        opted_out = table[schema.OPTED_OUT].to_pandas().to_numpy() == "1"
        found.opted_out[row[opted_out & (row >= 0)]] = True
        found = Pushes(
            np.concatenate([found.user, user[user >= 0]]),
            np.concatenate([found.minute, minute]),
            np.concatenate([found.day, day]),
            found.opted_out,
        )
    return found


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
    # Of each user one push at a time: a table of all pushes and hours would not fit into memory.
    for number in range(int(rank.max(initial=-1)) + 1):
        rows, instants = user[rank == number], minute[rank == number]
        found[rows] |= np.abs(hours.utc[hours.clock[rows]] - instants[:, None]) < gap_minutes
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
