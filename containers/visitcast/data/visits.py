"""Read visits from CSV files, Parquet files of histories, or a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from visitcast.data import histories, schema, visits_csv
from visitcast.data.dataset import Dataset, concatenate, from_visits, select_users
from visitcast.data.rules import ROW_RULES
from visitcast.data.validation import check, parse_text, require_columns
from visitcast.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def read_visits(source: str | PathLike[str] | pd.DataFrame, as_of: datetime | None = None) -> Dataset:
    """Read and check visits: one row per user and local calendar day with at least one visit.

    Parameters
    ----------
    source : path or DataFrame
        A CSV file sorted by user and date, a Parquet file of histories (one row per user, each other column a list), a
        folder of either kind, or a DataFrame with one row per visit day, in any order. The columns are those of
        ``visitcast.data.schema.VISITS``.
    as_of : datetime, optional
        Instant at which the data end, with a time zone; a later visit is an error. Default: now.

    Returns
    -------
    Dataset
        Users in ascending order, each user's days in ascending order.

    Raises
    ------
    InputError
        There are no visits, or a column is missing, unknown or of another type.
    RuleError
        Visits break a rule. The error names the column, the rule and up to five rows.
    """
    end = as_of or datetime.now(UTC)
    if not isinstance(source, str | PathLike):
        if not hasattr(source, "columns"):
            raise InputError(
                "These are neither files nor a DataFrame.",
                f"They are of the type {type(source).__name__}.",
                "Name a CSV file, a Parquet file of histories or a folder, or pass a DataFrame.",
            )
        return _read_frame(source, end)
    path = Path(source)
    files = [path] if path.is_file() else visits_files(path)
    if not files:
        raise InputError(
            f"There are no visits in {path}.",
            "It is neither a file nor a folder that holds CSV or Parquet files.",
            "Name a CSV file, a Parquet file of histories, or a folder of either kind.",
        )
    dataset = concatenate(list(read_blocks(files, end)))
    return select_users(dataset, np.argsort(dataset.user_ids))


def visits_files(folder: Path) -> list[Path]:
    """List the CSV and Parquet files of a folder and its subfolders by name.

    Athena's ``.csv.metadata`` and other files beside them are left out. Parquet is recognised by its first bytes, since
    the files of ``UNLOAD`` have no extension.
    """
    if not folder.is_dir():
        return []
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [file for file in files if file.suffix == ".csv" or histories.is_parquet(file)]


def read_blocks(files: Sequence[Path], as_of: datetime, max_csv_bytes: int | None = None) -> Iterator[Dataset]:
    """Read and check files of one kind, a few users at a time.

    Parameters
    ----------
    files : sequence of Path
        All CSV, or all Parquet files of histories.
    as_of : datetime
        Instant at which the data end, with a time zone.
    max_csv_bytes : int, optional
        Limit for all CSV files together. Parquet files have none: memory does not depend on their size.

    Raises
    ------
    InputError
        Both kinds of files, none, or visits that break a rule.
    """
    parquet = [histories.is_parquet(file) for file in files]
    if any(parquet) and not all(parquet):
        raise InputError(
            "The input holds CSV and Parquet files.",
            f"Parquet: {files[parquet.index(True)].name}; CSV: {files[parquet.index(False)].name}.",
            "Give the job the result of one query, in a folder of its own.",
        )
    if any(parquet):
        return histories.read_blocks(files, as_of)
    return visits_csv.read_blocks(files, as_of, max_csv_bytes)


def _read_frame(frame: pd.DataFrame, as_of: datetime) -> Dataset:
    require_columns([str(name) for name in frame.columns], "the DataFrame")
    if frame.empty:
        raise InputError("There are no visits.", "The DataFrame has no rows.", "Check the query that it comes from.")
    visits = parse_text(pa.table({name: _as_text(frame, name) for name in schema.VISITS_COLUMNS}), as_of)
    check(visits, ROW_RULES)
    return from_visits(visits)


def _as_text(frame: pd.DataFrame, name: str) -> Any:
    """Return a column as strings, as the rules check them."""
    try:
        values: Any = pa.array(frame[name], from_pandas=True)
        days = values.cast(pa.date32()) if pa.types.is_timestamp(values.type) else values
        # A time of day in another zone could be another day's: it is left in the text, and the rules refuse it.
        whole = days is values or pc.all(pc.equal(days.cast(values.type), values)).as_py()
        return (days if whole else values).cast(pa.string())
    except (pa.ArrowException, TypeError) as error:
        raise InputError(
            f"The column {name} of the DataFrame cannot be read.",
            str(error),
            "Supply numbers, text or dates, as the column asks for.",
        ) from error
