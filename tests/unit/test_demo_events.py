"""Reading a user's own events: what is converted, and how bad files are refused."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo.errors import DemoError
from demo.events import read_events

GOOD = {
    "user_id": ["a", "b", "b"],
    "event_time": ["2026-11-20T08:15:00Z", "2026-11-20T10:15:00+02:00", "2026-11-20 08:15:00.25"],
    "utc_offset_minutes": [0, 120, 345],
    "page_type": [1, 4, 2],
    "platform": ["ios", None, "web"],
}
TYPES = {
    "user_id": pa.string(),
    "event_time": pa.timestamp("ms", tz="UTC"),
    "utc_offset_minutes": pa.int16(),
    "page_type": pa.int8(),
    "platform": pa.string(),
}


def write(tmp_path: Path, name: str, frame: pd.DataFrame) -> Path:
    path = tmp_path / name
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz", "events.parquet"])
def test_times_become_utc_and_columns_get_their_types(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame(GOOD)[::-1].assign(extra=1.5)
    table = read_events(write(tmp_path, name, frame))
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == TYPES
    times = [str(t) for t in table["event_time"].to_pandas()]
    assert times == ["2026-11-20 08:15:00.250000+00:00"] + 2 * ["2026-11-20 08:15:00+00:00"]
    assert table["platform"].to_pylist() == ["web", "other", "ios"]


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kathmandu"])
def test_parquet_times_of_any_unit(tmp_path: Path, unit: str, zone: str | None) -> None:
    time = pa.array([1_700_000_000], pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp(unit))
    if zone:
        time = time.cast(pa.timestamp(unit, tz="UTC")).cast(pa.timestamp(unit, tz=zone))
    table = pa.table(
        {"user_id": ["a"], "event_time": time, "utc_offset_minutes": [0], "page_type": [1], "platform": ["ios"]}
    )
    pq.write_table(table, tmp_path / "e.parquet")
    assert read_events(tmp_path / "e.parquet")["event_time"].cast(pa.int64()).to_pylist() == [1_700_000_000_000]


@pytest.mark.parametrize(
    ("change", "column", "rule"),
    [
        pytest.param({"user_id": ["a", None, ""]}, "user_id", "must not be empty", id="no user"),
        pytest.param({"event_time": [None, *GOOD["event_time"][1:]]}, "event_time", "must not be empty", id="no time"),
        pytest.param({"event_time": ["2026-01-01", "20/11/2026", "x"]}, "event_time", "ISO-8601", id="time in words"),
        pytest.param({"utc_offset_minutes": ["60", "+1h", "0"]}, "utc_offset_minutes", "whole number", id="text"),
        pytest.param({"utc_offset_minutes": [0, 70_000, 0]}, "utc_offset_minutes", "whole number", id="too far"),
        pytest.param({"page_type": [1, 2.5, 3]}, "page_type", "whole number", id="half a page type"),
    ],
)
@pytest.mark.parametrize("name", ["events.csv", "events.parquet"])
def test_bad_values_name_column_rule_and_rows(
    tmp_path: Path, name: str, change: dict[str, list[object]], column: str, rule: str
) -> None:
    path = write(tmp_path, name, pd.DataFrame({**GOOD, **change}))
    with pytest.raises(DemoError) as caught:
        read_events(path)
    assert column in caught.value.headline
    assert rule in caught.value.headline
    assert "row " in caught.value.cause


def test_at_most_five_rows_are_shown(tmp_path: Path) -> None:
    frame = pd.concat(20 * [pd.DataFrame({**GOOD, "event_time": "soon"})])
    with pytest.raises(DemoError, match="60 of 60 rows are wrong") as caught:
        read_events(write(tmp_path, "e.csv", frame))
    assert caught.value.cause.count("row ") == 5


def test_numbers_are_no_times(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="not a number"):
        read_events(write(tmp_path, "e.parquet", pd.DataFrame({**GOOD, "event_time": 1_700_000_000})))


@pytest.mark.parametrize("column", sorted(GOOD))
@pytest.mark.parametrize("name", ["events.csv", "events.parquet"])
def test_a_missing_column_is_named(tmp_path: Path, name: str, column: str) -> None:
    with pytest.raises(DemoError, match=f"Missing column: {column}"):
        read_events(write(tmp_path, name, pd.DataFrame(GOOD).drop(columns=column)))


@pytest.mark.parametrize("name", ["events.csv", "events.parquet"])
def test_no_rows(tmp_path: Path, name: str) -> None:
    with pytest.raises(DemoError, match="contains no events"):
        read_events(write(tmp_path, name, pd.DataFrame(GOOD)[:0]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("e.csv", b"", id="empty csv"),
        pytest.param("e.csv", b"user_id,event_time\na,b,c,d\n", id="ragged csv"),
        pytest.param("e.csv", b"\xff\xfe\x00", id="not text"),
        pytest.param("e.parquet", b"PAR1 and nothing more", id="broken parquet"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DemoError, match="cannot be read"):
        read_events(tmp_path / name)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="There is no file"):
        read_events(tmp_path / "nowhere.csv")
    with pytest.raises(DemoError, match="There is no file"):
        read_events(tmp_path / "nowhere.parquet")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="is a folder"):
        read_events(tmp_path)
