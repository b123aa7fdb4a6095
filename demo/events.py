"""Read a file of events that the user brings, Parquet or CSV, and refuse what the events table cannot hold.

Only the form is checked here: columns, types, empty and unreadable values. The pipeline itself, here and on AWS, checks
whether values make sense (a page type of 7, an event in the future).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from demo.errors import DemoError
from visitcast.data import schema

_SHOWN_ROWS = 5
_OTHER_PLATFORM = schema.PLATFORMS[-1]


def read_events(path: Path) -> pa.Table:
    """Read events and bring them into the types of the events table.

    Times with an offset are converted to UTC; times without one are taken as UTC. A missing platform becomes ``other``;
    other columns are ignored.

    Parameters
    ----------
    path : Path
        ``*.csv``, ``*.csv.gz``, or Parquet by any other name.

    Returns
    -------
    pyarrow.Table
        ``user_id`` string, ``event_time`` timestamp[ms, UTC], ``utc_offset_minutes`` int16, ``page_type`` int8,
        ``platform`` string, in the file's order.

    Raises
    ------
    DemoError
        Naming the column, the rule and up to five offending rows.
    """
    if path.is_dir():
        raise DemoError(f"{path} is a folder.", "Events are read from one file.", "Give one file, Parquet or CSV.")
    table = _read(path)
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise DemoError(
            f"{path} is not a file of events.",
            f"Missing column: {', '.join(missing)}. It has: {', '.join(table.column_names) or 'none'}.",
            f"Supply the columns {', '.join(_COLUMNS)}.",
        )
    if table.num_rows == 0:
        raise DemoError(f"{path} contains no events.", "It has the columns, but no rows.", "Supply some events.")
    return pa.table({name: convert(name, table[name].to_pandas()) for name, convert in _COLUMNS.items()})


def _read(path: Path) -> pa.Table:
    try:
        if path.name.removesuffix(".gz").endswith(".csv"):
            # Every value as text: pandas can then say which row cannot be read.
            names = pd.read_csv(path, nrows=0).columns
            convert = pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
            )
            return pyarrow.csv.read_csv(path, convert_options=convert)
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise DemoError(f"There is no file {path}.", str(error), "Check the path.") from error
    except (pa.ArrowInvalid, pd.errors.ParserError, UnicodeDecodeError, OSError, ValueError) as error:
        raise DemoError(f"{path} cannot be read.", str(error), "Supply Parquet, or CSV with a header line.") from error


def _text(name: str, values: pd.Series) -> pa.Array[Any]:
    _refuse(name, values, values.isna() | values.eq(""), "must not be empty")
    if not isinstance(values.dtype, pd.StringDtype):
        _refuse(name, values, ~values.map(lambda value: isinstance(value, str)), "must be text")
    return pa.array(values, pa.string())


def _time(name: str, values: pd.Series) -> pa.Array[Any]:
    _refuse(name, values, values.isna(), "must not be empty")
    if pd.api.types.is_datetime64_any_dtype(values):
        times = values.dt.tz_localize("UTC") if values.dt.tz is None else values.dt.tz_convert("UTC")
    else:
        if not isinstance(values.dtype, pd.StringDtype):
            _refuse(name, values, ~values.map(lambda value: isinstance(value, str)), "must be a time, not a number")
        times = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
        _refuse(name, values, times.isna(), "must be an ISO-8601 time such as 2026-11-20T08:15:00Z")
    return pa.array(times.dt.floor("ms"), pa.timestamp("ms", tz="UTC"), safe=False)


def _integer(name: str, values: pd.Series, dtype: type[np.integer[Any]]) -> pa.Array[Any]:
    _refuse(name, values, values.isna(), "must not be empty")
    numbers = pd.to_numeric(values, errors="coerce")
    limits = np.iinfo(dtype)
    whole = numbers.notna() & (numbers == numbers.round()) & numbers.between(int(limits.min), int(limits.max))
    _refuse(name, values, ~whole, f"must be a whole number from {limits.min} to {limits.max}")
    return pa.array(numbers.astype(dtype), pa.from_numpy_dtype(np.dtype(dtype)))


def _refuse(name: str, values: pd.Series, wrong: pd.Series, rule: str) -> None:
    """Raise if any value is wrong; rows are counted from 1, without the header."""
    if not wrong.any():
        return
    rows = np.flatnonzero(wrong)
    shown = "; ".join(f"row {row + 1}: {values.iloc[row]!r}" for row in rows[:_SHOWN_ROWS])
    raise DemoError(
        f"The events cannot be used: column {name} {rule}.",
        f"{len(rows)} of {len(values)} rows are wrong: {shown}.",
        "Fix or remove these rows.",
    )


_COLUMNS: Final[dict[str, Callable[[str, pd.Series], pa.Array[Any]]]] = {
    schema.USER_ID: _text,
    schema.EVENT_TIME: _time,
    schema.UTC_OFFSET_MINUTES: lambda name, values: _integer(name, values, np.int16),
    schema.PAGE_TYPE: lambda name, values: _integer(name, values, np.int8),
    schema.PLATFORM: lambda name, values: _text(name, values.fillna(_OTHER_PLATFORM)),
}
"""How each column of the events table is read."""
