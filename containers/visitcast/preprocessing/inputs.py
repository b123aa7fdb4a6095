"""Estimate how much there is to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from visitcast.data import histories

_SAMPLE_BYTES: Final = 2**16


def estimate_visit_days(files: Sequence[Path]) -> int:
    """Estimate how many visit days files hold, for the progress lines. Unreadable files count as empty."""
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
