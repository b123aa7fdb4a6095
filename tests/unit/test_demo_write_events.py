"""Events of any kind become files that Athena can read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo.write_events import main

ROWS = pd.DataFrame(
    {
        "user_id": ["a", "b", "a"],
        "event_time": pd.to_datetime(["2026-11-20T23:59:00Z", "2026-11-21T00:01:00Z", "2026-11-21T08:00:00Z"]),
        "utc_offset_minutes": [60, -300, 60],  # int64, as pandas writes whole numbers
        "page_type": [1, 2, 4],
        "platform": ["ios", "web", "ios"],
    }
)
# The table's smallint and tinyint are INT32 in Parquet; Athena refuses INT64 for them (HIVE_BAD_DATA).
TYPES = {
    "user_id": pa.string(),
    "event_time": pa.timestamp("ms"),
    "utc_offset_minutes": pa.int16(),
    "page_type": pa.int8(),
    "platform": pa.string(),
}


@pytest.mark.parametrize("name", ["events.parquet", "events.csv"])
def test_a_file_becomes_one_of_the_tables_types_for_each_date(tmp_path: Path, name: str) -> None:
    source, folder = tmp_path / name, tmp_path / "events"
    ROWS.to_parquet(source) if name.endswith("parquet") else ROWS.to_csv(source, index=False)
    assert main(["--events", str(source), "--output", str(folder)]) == 0
    assert sorted(file.parent.name for file in folder.glob("*/*.parquet")) == ["dt=2026-11-20", "dt=2026-11-21"]
    files = [pq.ParquetFile(file) for file in folder.glob("*/*.parquet")]
    assert sum(file.metadata.num_rows for file in files) == len(ROWS)
    for file in files:
        assert dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True)) == TYPES
        physical = {column.name: column.physical_type for column in map(file.schema.column, range(len(TYPES)))}
        assert (physical["utc_offset_minutes"], physical["page_type"]) == ("INT32", "INT32")


def test_a_folder_that_exists_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old").write_text("old")
    assert main(["--output", str(tmp_path)]) == 1
    assert "exists" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["old"]


def test_a_file_that_cannot_be_used_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("user_id\na\n")
    assert main(["--events", str(tmp_path / "bad.csv"), "--output", str(tmp_path / "events")]) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["bad.csv"]
