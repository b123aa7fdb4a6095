"""Read visits from CSV files as Athena writes them, block by block, and check them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import csv

from visitcast.data import identifiers, schema
from visitcast.data.dataset import Dataset, from_visits, select_users
from visitcast.data.rules import CSV_RULES
from visitcast.data.seen_users import NO_HASHES, SeenUsers, hashes
from visitcast.data.validation import check, parse_text, require_columns
from visitcast.errors import InputError

LINE_OF_FIRST_ROW: Final = 2
"""Line 1 is the header."""
BLOCK_BYTES: Final = 2**20
"""Bytes checked at a time, some 10,000 rows. Arrow reads 32 such blocks ahead and keeps them in memory."""


def read_blocks(
    files: Sequence[Path], as_of: datetime, max_bytes: int | None = None, block_bytes: int = BLOCK_BYTES
) -> Iterator[Dataset]:
    """Read and check visits, a few users at a time.

    Files must be sorted by user and date, as the source SQL sorts them, so a user is complete when the next one begins.
    Memory is bounded by a block and the longest history, whatever the size of a file.

    Parameters
    ----------
    files : sequence of Path
        CSV files: UTF-8, a header, NULL as an empty field without quotes.
    as_of : datetime
        Instant at which the data end, with a time zone.
    max_bytes : int, optional
        Limit for all files together. A result many times larger than expected is a mistake, often a broken join.
    block_bytes : int
        Bytes to read at a time.

    Yields
    ------
    Dataset
        Whole users, each once.

    Raises
    ------
    InputError
        No file, too large, not CSV, not UTF-8, other columns, or no rows.
    RuleError
        Rows break a rule.
    """
    _require_size(files, max_bytes)
    seen = SeenUsers()
    rows = 0
    for number, file in enumerate(files):
        users_of_file = [NO_HASHES]
        for block in _whole_users(file, as_of, seen, block_bytes, more_files=number + 1 < len(files)):
            # Added at the end of the file: a user who appears twice in one file makes it unsorted, not split.
            users_of_file.append(hashes(block.user_ids))
            rows += block.visit_days
            yield block
        seen.add(np.concatenate(users_of_file))
    if rows == 0:
        raise InputError(
            "The source SQL found no visits.",
            f"{', '.join(file.name for file in files)}: a header and no rows.",
            "Check that the events table holds data for the dates that the SQL reads.",
        )


def _whole_users(file: Path, as_of: datetime, seen: SeenUsers, block_bytes: int, more_files: bool) -> Iterator[Dataset]:
    rows_before = 0
    carried: list[pa.Table] = []
    for batch, is_last in _with_last(_read_text(file, block_bytes)):
        text = pa.concat_tables([*carried, batch])
        if text.num_rows == 0:
            continue
        first_line = rows_before - (text.num_rows - batch.num_rows) + LINE_OF_FIRST_ROW
        visits = parse_text(text, as_of, in_another_source=lambda users: seen.holds(hashes(users.to_numpy(False))))

        def locate(row: int, first_line: int = first_line) -> str:
            return f"{file.name} line {row + first_line}"

        check(visits, CSV_RULES, locate, more_follow=more_files or not is_last)
        rows_before += batch.num_rows
        block = from_visits(visits)
        if is_last:
            yield block
        else:
            # The last user may continue in the next batch. Prepending these rows to it also checks the order across
            # the boundary.
            carried = [text.slice(int(block.offsets[-2]))]
            yield select_users(block, slice(block.users - 1))


def _with_last(batches: Iterator[pa.Table]) -> Iterator[tuple[pa.Table, bool]]:
    """Yield every batch and whether it is the last."""
    batch = next(batches, None)
    while batch is not None:
        following = next(batches, None)
        yield batch, following is None
        batch = following


def _require_size(files: Sequence[Path], max_bytes: int | None) -> None:
    if not files:
        raise InputError(
            "There is no visits CSV to read.",
            "The input folder holds no file whose name ends in .csv.",
            "Check InputFilePath of the execution: it must name a .csv object.",
        )
    total = sum(file.stat().st_size for file in files)
    if max_bytes is not None and total > max_bytes:
        raise InputError(
            "The visits CSV is larger than this job accepts.",
            f"{total:,} bytes in {len(files)} files; the limit VISITCAST_MAX_INPUT_BYTES is {max_bytes:,}.",
            "Check the source SQL for a join that multiplies rows. If the size is right, raise "
            "Preprocessing.MaxInputBytes in the execution input.",
        )


def _read_text(file: Path, block_bytes: int) -> Iterator[pa.Table]:
    """Read a file's columns as strings, in the schema's order, at least one batch."""
    # With threads, parsed blocks would wait in memory too.
    read = csv.ReadOptions(block_size=block_bytes, use_threads=False)
    # Otherwise a block may end at a newline between quotes. Such a user breaks a rule, which then can be told.
    parse = csv.ParseOptions(newlines_in_values=True)
    rows = 0
    try:
        with csv.open_csv(file, read_options=read, parse_options=parse, convert_options=_as_text([])) as header:
            names = header.schema.names
        require_columns(names, file.name)
        with csv.open_csv(file, read_options=read, parse_options=parse, convert_options=_as_text(names)) as reader:
            for batch in reader:
                rows += batch.num_rows
                yield pa.Table.from_batches([batch]).select(list(schema.VISITS_COLUMNS))
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        if "straddling object" in str(error):
            raise InputError(
                f"{file.name} has a row of more than {block_bytes:,} bytes.",
                f"It is in the {block_bytes:,} bytes after row {rows:,}; its longest value is probably "
                f"{schema.USER_ID}, which {identifiers.RULE}.",
                "Leave such users out in the source SQL, then start again.",
            ) from error
        raise InputError(
            f"{file.name} is not a CSV file in UTF-8.",
            str(error),
            "Supply the CSV result of the source SQL, unpacked and unchanged.",
        ) from error


def _as_text(names: Sequence[str]) -> csv.ConvertOptions:
    # Athena quotes every value and leaves NULL unquoted: "" is an empty string, nothing at all is NULL.
    return csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        check_utf8=True,
    )
