"""What kind of files the input channel holds, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from visitcast.data import histories, visits_csv
from visitcast.data.dataset import Dataset
from visitcast.errors import InputError
from visitcast.preprocessing.settings import Settings

_SAMPLE_BYTES: Final = 2**16


def visits_files(folder: Path) -> list[Path]:
    """List CSV files and Parquet files by key, subfolders too.

    Athena's ``.csv.metadata`` and other files beside them are left out. Parquet is known by its first bytes: ``UNLOAD``
    gives its files no ending.
    """
    if not folder.is_dir():
        return []
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [file for file in files if file.suffix == ".csv" or histories.is_parquet(file)]


def read_blocks(files: Sequence[Path], settings: Settings) -> Iterator[Dataset]:
    """Read and check files of one kind, some users at a time.

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
        # No limit on the bytes: memory does not depend on them.
        return histories.read_blocks(files, settings.as_of)
    return visits_csv.read_blocks(files, settings.as_of, settings.max_input_bytes)


def estimate_visit_days(files: Sequence[Path]) -> int:
    """Say how many visit days files hold, about: for progress. Unreadable files count as empty."""
    return sum(_parquet_days(file) if histories.is_parquet(file) else _csv_days(file) for file in files)


def _parquet_days(file: Path) -> int:
    try:
        metadata = pq.read_metadata(file)
    except (pa.ArrowException, OSError):
        return 0
    return sum(metadata.row_group(group).column(1).num_values for group in range(metadata.num_row_groups))


def _csv_days(file: Path) -> int:
    with file.open("rb") as stream:
        sample = stream.read(_SAMPLE_BYTES)
    return sample.count(b"\n") * file.stat().st_size // max(len(sample), 1)
