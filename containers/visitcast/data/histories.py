"""Read visits from Parquet files of histories, one row per user, block by block, and check them.

Athena's ``UNLOAD`` writes such files: ``user_id`` and, for every other column of ``schema.VISITS``, the list of the
user's values. A row is a user's whole history, so a file can be read a few users at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, from_visits
from visitcast.data.left_out import LeftOut
from visitcast.data.rules import HISTORY_RULES, ROW_RULES, Mask, Visits
from visitcast.data.seen_users import SeenUsers, hashes
from visitcast.data.text_values import blank, dates, decoded, integers, ranks
from visitcast.data.validation import ROWS_SHOWN, RuleError, check, last_local_date, require_columns
from visitcast.errors import InputError

MAGIC: Final = b"PAR1"
"""First bytes of a Parquet file. The names of ``UNLOAD``'s files have no extension."""
ROWS_PER_BLOCK: Final = 50_000
"""Approximate number of visit days that are checked at a time."""
_RULES_OF_A_USER: Final = frozenset(rule.name for rule in ROW_RULES)
"""Rules that one user can break; what breaks the others is a wrong query."""
_BUFFER_BYTES: Final = 2**20
"""Bytes of a column that are read at a time, instead of a whole row group."""


class _Batch(NamedTuple):
    file: Path
    first_row: int
    """Rows of the file before this batch."""
    users: pa.RecordBatch
    more_follow: bool


def is_parquet(file: Path) -> bool:
    """Return whether a file begins as Parquet files do."""
    with file.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def read_blocks(
    files: Sequence[Path],
    as_of: datetime,
    rows_per_block: int = ROWS_PER_BLOCK,
    left_out: LeftOut | None = None,
) -> Iterator[Dataset]:
    """Read and check visits, a few users at a time.

    Memory is bounded by a block and eight bytes per user, which detect a user who appears twice.

    Parameters
    ----------
    files : sequence of Path
        Parquet files. Dates are ``date`` or text, other values integers or text; a user's visits in any order.
    as_of : datetime
        Instant at which the data end, with a time zone.
    rows_per_block : int
        Approximate number of visit days to read at a time.
    left_out : LeftOut, optional
        Gets the users whose visits break a rule; they are not yielded. Default: such visits are an error.

    Yields
    ------
    Dataset
        Whole users, each once.

    Raises
    ------
    InputError
        Not Parquet, other columns or types, lists of unequal length, or no rows.
    RuleError
        Visits break a rule.
    """
    seen = SeenUsers()
    for batch in _batches(files, rows_per_block):
        visits = _checked(batch, seen, as_of, left_out)
        if visits is not None:
            yield from_visits(visits)


def _checked(batch: _Batch, seen: SeenUsers, as_of: datetime, left_out: LeftOut | None) -> Visits | None:
    """Return the visits of a batch and remember its users; None if all were left out."""
    while batch.users.num_rows:
        lengths = _lengths(batch)
        users, distinct = ranks(batch.users.column(schema.USER_ID))
        hashed = hashes(distinct.to_numpy(zero_copy_only=False))
        visits = _visits(batch, lengths, users, distinct, seen.holds(hashed), as_of)
        try:
            check(visits, HISTORY_RULES, _Locate(batch, lengths), batch.more_follow)
        except RuleError as error:
            if left_out is None or error.rule not in _RULES_OF_A_USER:
                raise
            # Each rule relies on those above it, so the others are checked again without these users.
            broken: Any = np.unique(visits.source[error.rows])
            left_out.add(batch.users.column(schema.USER_ID).take(broken).to_pylist(), error.text)
            kept: Any = np.delete(np.arange(batch.users.num_rows), broken)
            batch = batch._replace(users=batch.users.take(kept))
            continue
        seen.add(hashed)
        return visits
    return None


def _batches(files: Sequence[Path], rows_per_block: int) -> Iterator[_Batch]:
    """Yield batches that are not empty, each with whether another follows."""
    last: _Batch | None = None
    for file in files:
        first_row = 0
        for users in _read(file, rows_per_block):
            if last is not None:
                yield last
            last = _Batch(file, first_row, users, more_follow=True)
            first_row += users.num_rows
    if last is None:
        raise InputError(
            "The source SQL found no visits.",
            f"{len(files)} Parquet files hold no row.",
            "Check that the events table holds data for the dates that the SQL reads.",
        )
    yield last._replace(more_follow=False)


def _read(file: Path, rows_per_block: int) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(file, buffer_size=_BUFFER_BYTES) as parquet:
            require_columns(parquet.schema_arrow.names, file.name)
            for number in range(parquet.num_row_groups):
                group = parquet.metadata.row_group(number)
                # num_values counts the entries of lists.
                days = max(group.column(column).num_values for column in range(group.num_columns))
                size = max(1, rows_per_block * group.num_rows // max(days, 1))
                batches = parquet.iter_batches(size, [number], use_threads=False)
                yield from (decoded(batch) for batch in batches if batch.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{file.name} cannot be read as Parquet.", str(error), "Supply the files of the UNLOAD unchanged."
        ) from error


def _lengths(batch: _Batch) -> NDArray[np.int64]:
    """Count the visit days of every user; check the types and that all lists are equally long."""
    _require_types(batch)
    lists = [column.name for column in schema.DAY_COLUMNS]
    lengths = {name: _list_lengths(batch.users.column(name)) for name in lists}
    first = lengths[lists[0]]
    for name in lists:
        unequal = np.flatnonzero((lengths[name] != first) | (first == 0))
        if len(unequal):
            user_ids = batch.users.column(schema.USER_ID)
            shown = "; ".join(
                f"row {batch.first_row + row + 1}: user_id={user_ids[row].as_py()!r}"
                for row in unequal[:ROWS_SHOWN].tolist()
            )
            raise InputError(
                f'The visits break the rule "one entry per visit" ({name}).',
                f"All lists of a user must be equally long and not empty. {len(unequal):,} rows of {batch.file.name} "
                f"break it: {shown}.",
                "Aggregate all columns of the visits with array_agg from the same rows.",
            )
    return first


def _list_lengths(lists: Any) -> NDArray[np.int64]:
    lengths: Any = pc.list_value_length(lists).fill_null(0)
    return np.asarray(lengths.to_numpy(), dtype=np.int64)


def _require_types(batch: _Batch) -> None:
    for column in schema.VISITS:
        found: Any = batch.users.schema.field(column.name).type
        is_user = column.name == schema.USER_ID
        if not _is_readable(column, found if is_user else getattr(found, "value_type", None)):
            raise InputError(
                f"A column of {batch.file.name} has the wrong type.",
                f"{column.name} is {found}; it must be {'text' if is_user else f'a list of {column.kind} values'}.",
                "Aggregate each column of the visits with array_agg, grouped by user_id.",
            )


def _is_readable(column: schema.Column, found: Any) -> bool:
    if found is None:
        return False
    if pa.types.is_string(found):
        return True
    if column.kind == "integer":
        return bool(pa.types.is_integer(found))
    return column.kind == "date" and bool(pa.types.is_date32(found))


def _visits(
    batch: _Batch,
    lengths: NDArray[np.int64],
    users: NDArray[np.int64],
    distinct: Any,
    in_another_source: Mask,
    as_of: datetime,
) -> Visits:
    """Flatten the lists into one row per visit."""
    history = np.repeat(np.arange(len(lengths)), lengths)
    user_ids: Any = batch.users.column(schema.USER_ID)
    none = np.zeros(len(history), dtype=bool)
    shown: dict[str, Any] = {schema.USER_ID: pa.DictionaryArray.from_arrays(history, user_ids)}
    values, distincts = {schema.USER_ID: users[history]}, {schema.USER_ID: distinct}
    absent, unreadable = {schema.USER_ID: blank(user_ids)[history]}, {schema.USER_ID: none}
    for column in schema.DAY_COLUMNS:
        name = column.name
        lists: Any = batch.users.column(name)
        flat = lists.flatten()
        shown[name], unreadable[name] = flat, none
        if column.kind == "text":
            absent[name] = blank(flat)
            values[name], distincts[name] = ranks(flat)
        elif pa.types.is_integer(flat.type) or pa.types.is_date32(flat.type):
            absent[name] = flat.is_null().to_numpy(zero_copy_only=False) if flat.null_count else none
            numbers = flat.cast(pa.int32()) if column.kind == "date" else flat
            values[name] = numbers.fill_null(0).to_numpy().astype(np.int64)
        else:
            absent[name] = blank(flat)
            values[name], unreadable[name] = (integers if column.kind == "integer" else dates)(flat)
    return Visits(
        shown=pa.table({name: shown[name] for name in schema.VISITS_COLUMNS}),
        values=values,
        distinct=distincts,
        absent=absent,
        unreadable=unreadable,
        source=history,
        in_another_source=in_another_source[values[schema.USER_ID]],
        last_date=last_local_date(as_of),
    )


class _Locate:
    """Names a visit in an error by its row in the file and its position in the lists, both from 1."""

    def __init__(self, batch: _Batch, lengths: NDArray[np.int64]) -> None:
        self._batch = batch
        self._ends = np.cumsum(lengths)
        self._lengths = lengths

    def __call__(self, visit: int) -> str:
        history = int(np.searchsorted(self._ends, visit, side="right"))
        place = visit - int(self._ends[history] - self._lengths[history])
        return f"{self._batch.file.name} row {self._batch.first_row + history + 1} visit {place + 1}"
