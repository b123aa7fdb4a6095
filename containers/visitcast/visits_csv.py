"""Read visits from CSV files as Athena writes them, and check them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from visitcast import schema
from visitcast.errors import InputError
from visitcast.validation import check, require_columns

LINE_OF_FIRST_ROW: Final = 2
"""Line 1 is the header."""


def read_visits(files: Sequence[Path], as_of: datetime, max_bytes: int) -> pd.DataFrame:
    """Read and check visits.

    Parameters
    ----------
    files : sequence of Path
        CSV files: UTF-8, a header, NULL as an empty field without quotes.
    as_of : datetime
        Instant at which the data end, with a time zone.
    max_bytes : int
        Limit for all files together. A result many times larger than the instance was chosen for is a mistake (a
        broken join, often) and would end in an out-of-memory kill without a message.

    Returns
    -------
    DataFrame
        Columns of ``schema.VISITS`` with their types; files in the order given.

    Raises
    ------
    InputError
        No file, too large, not CSV, not UTF-8, other columns, or no rows.
    RuleError
        Rows break a rule.
    """
    _require_size(files, max_bytes)
    tables = [_read_text(file) for file in files]
    lengths = [table.num_rows for table in tables]
    if sum(lengths) == 0:
        raise InputError(
            "The source SQL found no visits.",
            f"{', '.join(file.name for file in files)}: a header and no rows.",
            "Check that the events table holds data for the dates that the SQL reads.",
        )
    source = np.repeat(np.arange(len(files)), lengths)
    starts = np.cumsum([0, *lengths])

    def locate(row: int) -> str:
        return f"{files[source[row]].name} line {row - starts[source[row]] + LINE_OF_FIRST_ROW}"

    return check(pa.concat_tables(tables), as_of, source=source, locate=locate)


def _require_size(files: Sequence[Path], max_bytes: int) -> None:
    if not files:
        raise InputError(
            "There is no visits CSV to read.",
            "The input folder holds no file whose name ends in .csv.",
            "Check InputFilePath of the execution: it must name a .csv object.",
        )
    total = sum(file.stat().st_size for file in files)
    if total > max_bytes:
        raise InputError(
            "The visits CSV is larger than this job accepts.",
            f"{total:,} bytes in {len(files)} files; the limit VISITCAST_MAX_INPUT_BYTES is {max_bytes:,}.",
            "Check the source SQL for a join that multiplies rows. If the size is right, raise "
            "Preprocessing.MaxInputBytes in the execution input and choose an instance type with more memory.",
        )


def _read_text(file: Path) -> pa.Table:
    """Read a file's columns as strings, in the schema's order."""
    try:
        names = csv.open_csv(file, convert_options=_as_text([])).schema.names
        require_columns(names, file.name)
        table = csv.read_csv(file, convert_options=_as_text(names))
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise InputError(
            f"{file.name} is not a CSV file in UTF-8.",
            str(error),
            "Supply the CSV result of the source SQL, unpacked and unchanged.",
        ) from error
    return table.select(list(schema.VISITS_COLUMNS))


def _as_text(names: Sequence[str]) -> csv.ConvertOptions:
    # Athena quotes every value and leaves NULL unquoted: "" is an empty string, nothing at all is NULL.
    return csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        check_utf8=True,
    )
