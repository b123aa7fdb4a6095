"""Shapes of files that people have: each gives the same events, or a refusal within two seconds."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from visitcast.errors import InputError
from visitcast.events.mapping import EventsMapping
from visitcast.events.reading import ARROW_SCHEMA, read_events, reading

ROWS = 6
TIMES = [datetime(2026, 11, 20, 8, 15, 30, tzinfo=UTC) + timedelta(hours=7 * number) for number in range(ROWS)]
OFFSETS = [120, -240, 330, 0, -210, 60]
BASE = pd.DataFrame(
    {
        "user_id": ["a", "b", "c"] * 2,
        "event_time": TIMES,
        "utc_offset_minutes": OFFSETS,
        "page_type": [1, 2, 3, 4, 1, 2],
        "platform": ["ios", "android", "web", "other", "ios", "web"],
    }
)
TEXT = BASE.assign(event_time=[f"{instant:%Y-%m-%dT%H:%M:%SZ}" for instant in TIMES])
TABLE = pa.Table.from_pandas(BASE, preserve_index=False)
SECONDS = 2
"""A refusal must not take longer."""


def csv(frame: pd.DataFrame, **options: Any) -> bytes:
    return frame.to_csv(index=False, **options).encode()


def parquet(table: pa.Table, **options: Any) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content, **options)
    return content.getvalue()


def of_pandas(**columns: Any) -> bytes:
    return parquet(pa.Table.from_pandas(BASE.assign(**columns), preserve_index=False))


def written(form: str) -> list[str]:
    return [f"{instant:{form}}" for instant in TIMES]


def users(names: list[str]) -> tuple[bytes, pd.DataFrame]:
    return csv(TEXT.assign(user_id=names)), BASE.assign(user_id=names)


LONG = pd.concat([TEXT] * 400)
NS_TABLE = TABLE.set_column(1, "event_time", TABLE["event_time"].cast(pa.timestamp("ns", "UTC")))
WITHOUT_TIME = TEXT.drop(columns="event_time")
READ: dict[str, tuple[str, bytes, pd.DataFrame]] = {
    "zone names": (
        "e.csv",
        csv(TEXT.drop(columns="utc_offset_minutes").assign(time_zone=["Asia/Kolkata", "Europe/Berlin"] * 3)),
        BASE.assign(utc_offset_minutes=[330, 60] * 3),
    ),
    "offsets all 330 or 345": (
        "e.csv",
        csv(TEXT.assign(utc_offset_minutes=[330, 345] * 3)),
        BASE.assign(utc_offset_minutes=[330, 345] * 3),
    ),
    "times without separators": ("e.csv", csv(TEXT.assign(event_time=written("%Y%m%d%H%M%S"))), BASE),
    "platforms left empty": (
        "e.csv",
        csv(TEXT.assign(platform=[None, *TEXT["platform"][1:]])),
        BASE.assign(platform=["other", *BASE["platform"][1:]]),
    ),
    "shuffled rows": ("e.csv", csv(TEXT[::-1]), BASE[::-1]),
    "repeated rows": ("e.csv", csv(pd.concat([TEXT, TEXT])), pd.concat([BASE, BASE])),
    "users that are integers": ("e.csv", *users(["7", "8", "9"] * 2)),
    "users with leading zeros": ("e.csv", *users(["007", "08", "9"] * 2)),
    "users with quotes, commas and emoji": ("e.csv", *users(['a,"b" é😀', "'c'", "d;e|f g"] * 2)),
    "users between spaces": ("e.csv", *users([" a ", " b", "c "] * 2)),
    "users called NULL and NA": ("e.csv", *users(["NULL", "NA", "nan"] * 2)),
    "users with markup": ("e.csv", *users(["<b>a</b>", "=1+1", "{{ 7 * 7 }}"] * 2)),
    "an extra field of 1 MB": (
        "e.csv",
        csv(TEXT.assign(html=["x" * 1_000_000, *[""] * 5])),
        BASE,
    ),
    "int96 of Parquet": ("e.parquet", parquet(NS_TABLE, use_deprecated_int96_timestamps=True), BASE),
    "category of the platform": ("e.parquet", of_pandas(platform=BASE["platform"].astype("category")), BASE),
    "category with a platform that is not known": (
        "e.parquet",
        of_pandas(platform=BASE["platform"].replace("other", "tv").astype("category")),
        BASE,
    ),
    "category of the page type": ("e.parquet", of_pandas(page_type=BASE["page_type"].astype("category")), BASE),
    "platform without a type": ("e.parquet", of_pandas(platform=None), BASE.assign(platform="other")),
    "dictionary encoding": ("e.parquet", parquet(TABLE, use_dictionary=True), BASE),
    "Parquet without a suffix": ("part-00000", parquet(TABLE), BASE),
    "Parquet packed with Zstandard": ("e.zstd.parquet", parquet(TABLE, compression="zstd"), BASE),
    "a name with wildcards": ("e*[1]?.csv", csv(TEXT), BASE),
}


@pytest.mark.parametrize("user", ["a\n", "b\nc", "\r\nd", "\x1b[31mred", "a\0", "\u2028", "x" * 257, "x" * 100_000])
def test_a_user_without_an_identifier_is_left_out(user: str, tmp_path: Path) -> None:
    (tmp_path / "e.parquet").write_bytes(of_pandas(user_id=[*"abcde", user]))
    with reading(tmp_path / "e.parquet") as events:
        assert events.table()["user_id"].to_pylist() == [*"abcde"]
        assert (events.rows, events.left_out["unidentified"]) == (6, 1)
        (note,) = [note for note in events.notes if "left out" in note]
    assert "1 of 6 rows was left out: column user_id must have 1 to 256 characters" in note
    assert "row 6: " in note
    assert note.isprintable()


@pytest.mark.parametrize("case", READ)
def test_the_shape_is_read(case: str, tmp_path: Path) -> None:
    name, content, expected = READ[case]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "e1.csv").write_bytes(csv(TEXT))  # must not be read besides, whatever the name looks like
    assert_read(tmp_path / name, expected)


def assert_read(path: Path, expected: pd.DataFrame = BASE, mapping: EventsMapping | None = None) -> None:
    table = read_events(path, mapping)
    assert table.schema == ARROW_SCHEMA
    for column in expected:
        assert table[column].to_pylist() == expected[column].to_list(), column


def arrow_stream() -> bytes:
    content = io.BytesIO()
    with pyarrow.ipc.new_stream(content, TABLE.schema) as stream:
        stream.write_table(TABLE)
    return content.getvalue()


def arrow_file() -> bytes:
    content = io.BytesIO()
    feather.write_feather(TABLE, content)
    return content.getvalue()


def archive(*members: tuple[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name, data in members:
            made.writestr(name, data)
    return content.getvalue()


REFUSED: dict[str, tuple[str, Callable[[], bytes], tuple[str, ...]]] = {
    "page types left empty": (
        "e.csv",
        lambda: csv(TEXT.assign(page_type=[None, *TEXT["page_type"][1:]])),
        ("page_type must be a whole number from 1 to 4", "row 1: empty", "--page-types"),
    ),
    "times that say NULL": (
        "e.csv",
        lambda: csv(TEXT.assign(event_time=["NULL", *TEXT["event_time"][1:]])),
        ("event_time must be an ISO-8601 time", "row 1: 'NULL'", "--time-format"),
    ),
    "American dates": (
        "e.csv",
        lambda: csv(TEXT.assign(event_time=written("%m/%d/%Y %I:%M %p"))),
        ("event_time must be an ISO-8601 time", "6 of 6 rows", "--time-format"),
    ),
    "page types that are truth values": (
        "e.parquet",
        lambda: of_pandas(page_type=True),
        ("page_type must be a whole number from 1 to 4", "row 1: 'true'", "--page-types"),
    ),
    "users of 3 MB": (
        "e.csv",
        lambda: csv(TEXT.assign(user_id=["x" * 3_000_000, *"bcdef"])),
        ("cannot be read", "Line: 1", "Maximum line size", "Supply CSV"),
    ),
    "users of 3 MB in Parquet": (
        "e.parquet",
        lambda: of_pandas(user_id=[*(f"{number}" * 3_000_000 for number in range(4)), *"ef"]),
        ("user_id must have 1 to 256 characters", "row 1: '000", "--columns user_id="),
    ),
    "users with NUL": (
        "e.parquet",
        lambda: of_pandas(user_id=["a\0", "b\0", "c\0", "d\0", *"ef"]),
        ("no control characters such as NUL", r"row 1: 'a\x00'", "--columns user_id="),
    ),
    "Feather": ("e.feather", arrow_file, ("Feather", "Parquet")),
    "Arrow stream": ("e.arrow", arrow_stream, ("stream of Arrow", "Parquet")),
    "a spreadsheet": ("e.xlsx", lambda: archive(("xl/workbook.xml", b"<x/>")), ("spreadsheet", "Supply CSV")),
    "packed UTF-16": ("e.csv.gz", lambda: gzipped(TEXT.to_csv(index=False).encode("utf-16")), ("UTF-16", "iconv")),
    "an empty archive": ("e.zip", archive, ("no files", "Supply CSV")),
    "an archive of several kinds": (
        "e.zip",
        lambda: archive(("a.csv", csv(TEXT)), ("b.parquet", parquet(TABLE))),
        ("several kinds", "csv, parquet"),
    ),
    "a broken archive": ("e.zip", lambda: b"PK\x03\x04 and no more", ("cannot be read", "Supply CSV")),
    "broken Parquet": ("e.parquet", lambda: parquet(TABLE)[:-20], ("no footer", "export or download it again")),
    "broken JSON": ("e.jsonl", lambda: b'{"user_id": "a", "event_time"\n', ("1 is not JSON", "download it again")),
    "JSON that is cut off": (
        "e.jsonl",
        lambda: TEXT.to_json(orient="records", lines=True).encode()[:-30],
        ("e.jsonl cannot be read", f"Line {ROWS} is not JSON", "download it again"),
    ),
    "an archive that is cut off": (
        "e.csv.gz",
        lambda: gzipped(csv(LONG))[:-200],
        ("e.csv.gz cannot be read", "ends in the middle", "download it again"),
    ),
    "mixed line ends": (
        "e.csv",
        lambda: csv(LONG) + csv(TEXT, header=False).replace(b"\n", b"\r\n"),
        ("e.csv cannot be read", f"Line {len(LONG) + 2} ends with CR LF", "sed 's/"),
    ),
    "Latin-1": (
        "e.csv",
        lambda: csv(TEXT.assign(user_id=[*"abcde", "Jörg"])).decode().encode("latin-1"),
        ("e.csv cannot be read", f"Line {ROWS + 1} is not UTF-8", "iconv -f WINDOWS-1252 -t UTF-8"),
    ),
    "Latin-1 in JSON": (
        "e.jsonl",
        lambda: TEXT.to_json(orient="records", lines=True).replace('"c"', '"ç"', 1).encode("latin-1"),
        ("Line 3 is not UTF-8", "> corrected.jsonl"),
    ),
    "a row with too many fields": (
        "e.csv",
        lambda: csv(LONG) + b"a,b,c,d,e,f\n",
        (f"Line {len(LONG) + 2} has 6 fields, the header has 5", "Correct this line"),
    ),
    "text after a closing quote": (
        "e.csv",
        lambda: csv(TEXT) + b'"a"b,2026-11-20T08:15:30Z,60,1,ios\n',
        (f"Line {ROWS + 2} has text after a closing quote", "Correct this line"),
    ),
    "no header": (
        "e.csv",
        lambda: csv(TEXT, header=False),
        ("Missing column: user_id, event_time", "Give a header line", "--columns user_id="),
    ),
    "a quote that is not closed": (
        "e.csv",
        lambda: csv(TEXT) + b'a,"b\n',
        ("was read as one column", f"Line {ROWS + 2} has a quote that is never closed", "Correct this line"),
    ),
    "a header with terminal escapes": (
        "e.csv",
        lambda: csv(TEXT.rename(columns={"user_id": "\x1b[2Jwho"})),
        (r"\x1b[2Jwho", "--columns user_id="),
    ),
}


def gzipped(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content)


@pytest.mark.parametrize("case", REFUSED)
def test_the_shape_is_refused_with_what_helps(case: str, tmp_path: Path) -> None:
    name, content, parts = REFUSED[case]
    (tmp_path / name).write_bytes(content())
    began = time.process_time()
    with pytest.raises(InputError) as caught:
        read_events(tmp_path / name)
    assert time.process_time() - began < SECONDS
    for part in parts:
        assert part in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_times_of_another_form_are_read_once_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_bytes(csv(TEXT.assign(event_time=written("%m/%d/%Y %I:%M:%S %p"))))
    assert_read(tmp_path / "e.csv", mapping=EventsMapping(time_format="%m/%d/%Y %I:%M:%S %p"))


def test_an_archive_and_a_folder_of_many_files_are_one_log(tmp_path: Path) -> None:
    parts = [(f"export/part#{number}.csv", csv(TEXT[number : number + 1])) for number in range(ROWS)]
    hidden = [("__MACOSX/._part.csv", b"\0"), ("export/.DS_Store", b"\0"), ("export/_SUCCESS", b"")]
    (tmp_path / "e.zip").write_bytes(archive(*hidden, *parts))
    assert_read(tmp_path / "e.zip")
    with zipfile.ZipFile(tmp_path / "e.zip") as made:
        made.extractall(tmp_path / "[2026]*")
    assert_read(tmp_path / "[2026]*")


def test_a_folder_of_several_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(csv(TEXT))
    (tmp_path / "b.jsonl").write_text(TEXT.to_json(orient="records", lines=True))
    with pytest.raises(InputError, match="csv, json"):
        read_events(tmp_path)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_of_a_folder_without_a_column_is_named(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"a.{kind}").write_bytes(csv(TEXT) if kind == "csv" else parquet(TABLE))
    other = TEXT.rename(columns={"user_id": "who"})
    (tmp_path / f"b.{kind}").write_bytes(csv(other) if kind == "csv" else parquet(pa.Table.from_pandas(other)))
    with pytest.raises(InputError) as caught:
        read_events(tmp_path)
    for part in (f"b.{kind} has other columns", "Missing column: user_id", "who", "--columns user_id=user_id|..."):
        assert part in str(caught.value)
    assert read_events(tmp_path, EventsMapping(columns={"user_id": "user_id|who"})).num_rows == 2 * ROWS


def test_a_column_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([*TABLE.columns, TABLE["platform"]], [*TABLE.column_names, "platform"])
    pq.write_table(twice, tmp_path / "e.parquet")
    assert_read(tmp_path / "e.parquet")


def test_properties_are_reached_in_text_and_in_maps(tmp_path: Path) -> None:
    zones = ["Europe/Berlin", "Asia/Kolkata"] * 3
    frame = BASE.drop(columns=["utc_offset_minutes", "page_type", "platform"]).rename(
        columns={"user_id": "distinct_id", "event_time": "timestamp"}
    )
    text = [f'{{"$os": "iOS", "$timezone": "{zone}", "$set": {{"a": 1}}}}' for zone in zones]
    maps = pa.array([[("$os", "iOS"), ("$timezone", zone)] for zone in zones], pa.map_(pa.string(), pa.string()))
    expected = BASE.assign(utc_offset_minutes=[60, 330] * 3, page_type=1, platform="ios")
    for name, properties in {"text": pa.array(text), "map": maps}.items():
        table = pa.Table.from_pandas(frame, preserve_index=False).append_column("properties", properties)
        pq.write_table(table, tmp_path / f"{name}.parquet")
        assert_read(tmp_path / f"{name}.parquet", expected)


def test_order_and_content_of_large_files_stay(tmp_path: Path) -> None:
    rows = 300_000  # more than DuckDB reads at once
    numbers = np.arange(rows)
    frame = pd.DataFrame({"user_id": numbers, "event_time": 1_700_000_000 + numbers, "utc_offset_minutes": 60})
    frame.to_parquet(tmp_path / "e.parquet", row_group_size=20_000)
    table = read_events(tmp_path / "e.parquet")
    assert table["user_id"].to_pylist() == [f"{number}" for number in numbers]
