"""Exports of every shape are read rightly, or refused with the column, the rule, rows and the option that helps."""

from __future__ import annotations

import bz2
import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visitcast.errors import InputError
from visitcast.events.mapping import TOOLS, EventsMapping, read_mapping, with_settings
from visitcast.events.reading import ARROW_SCHEMA, read_events, reading

ROWS = 6
START = datetime(2026, 11, 20, 8, 15, 30, 250_000, tzinfo=UTC)
UTC_TIMES = [START + timedelta(hours=7 * number) for number in range(ROWS)]
OFFSETS = [120, -240, 330, 0, -210, 60]
BASE = pd.DataFrame(
    {
        "user_id": ["a", "b", "c"] * 2,
        "event_time": UTC_TIMES,
        "utc_offset_minutes": OFFSETS,
        "page_type": [1, 2, 3, 4, 1, 2],
        "platform": ["ios", "android", "web", "other", "ios", "web"],
    }
)
ISO = [f"{time:%Y-%m-%dT%H:%M:%S}.250Z" for time in UTC_TIMES]
TEXT = BASE.assign(event_time=ISO)
WITHOUT_OFFSET = TEXT.drop(columns="utc_offset_minutes")


def hhmm(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def inside(zone: Callable[[int], str]) -> list[str]:
    return [
        f"{time + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}.250{zone(minutes)}"
        for time, minutes in zip(UTC_TIMES, OFFSETS, strict=True)
    ]


def csv(frame: pd.DataFrame, **options: Any) -> bytes:
    return frame.to_csv(index=False, **options).encode(options.get("encoding", "utf-8"))


def zipped(content: bytes, folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "made.zip", "w") as archive:
        archive.writestr("events.csv", content)
    return (folder / "made.zip").read_bytes()


READ: dict[str, tuple[str, bytes]] = {
    "csv": ("e.csv", csv(TEXT)),
    "upper-case suffix": ("E.CSV", csv(TEXT)),
    "tsv": ("e.tsv", csv(TEXT, sep="\t")),
    "txt": ("e.txt", csv(TEXT)),
    "no suffix": ("events", csv(TEXT)),
    "semicolons": ("e.csv", csv(TEXT, sep=";")),
    "pipes": ("e.csv", csv(TEXT, sep="|")),
    "byte order mark": ("e.csv", b"\xef\xbb\xbf" + csv(TEXT)),
    "utf-16": ("e.csv", csv(TEXT, encoding="utf-16")),
    "crlf": ("e.csv", csv(TEXT, lineterminator="\r\n")),
    "gzip": ("e.csv.gz", gzip.compress(csv(TEXT))),
    "GZIP": ("E.CSV.GZ", gzip.compress(csv(TEXT))),
    "bz2": ("e.csv.bz2", bz2.compress(csv(TEXT))),
    "quoted newline": ("e.csv", csv(TEXT.assign(referrer='he said "hi",\nnew line', json='{"a":1,"b":[1,2]}'))),
    "extra columns": ("e.csv", csv(TEXT.assign(one=1.5, two=None))),
    "index column": ("e.csv", TEXT.to_csv().encode()),
    "other case of the header": ("e.csv", csv(TEXT.rename(columns={"event_time": "Event Time"}))),
    "spaces in the header": ("e.csv", csv(TEXT.rename(columns=lambda name: f" {name}"))),
    "json lines": ("e.jsonl", TEXT.to_json(orient="records", lines=True).encode()),
    "packed json lines": ("e.ndjson.gz", gzip.compress(TEXT.to_json(orient="records", lines=True).encode())),
    "json": ("e.json", TEXT.to_json(orient="records").encode()),
    "BigQuery's times": ("e.csv", csv(BASE.assign(event_time=[f"{t:%Y-%m-%d %H:%M:%S}.250 UTC" for t in UTC_TIMES]))),
    "Snowflake's times": (
        "e.csv",
        csv(BASE.assign(event_time=[f"{t:%Y-%m-%d %H:%M:%S}.250 +0000" for t in UTC_TIMES])),
    ),
    "nanoseconds": ("e.csv", csv(BASE.assign(event_time=[f"{t:%Y-%m-%dT%H:%M:%S}.250000123Z" for t in UTC_TIMES]))),
    "basic format": ("e.csv", csv(BASE.assign(event_time=[f"{t:%Y%m%dT%H%M%S}.250Z" for t in UTC_TIMES]))),
    "epoch seconds": ("e.csv", csv(BASE.assign(event_time=[f"{t.timestamp():.3f}" for t in UTC_TIMES]))),
    "epoch milliseconds": ("e.csv", csv(BASE.assign(event_time=[round(t.timestamp() * 1e3) for t in UTC_TIMES]))),
    "epoch microseconds": ("e.csv", csv(BASE.assign(event_time=[round(t.timestamp() * 1e6) for t in UTC_TIMES]))),
    "offset inside the time": ("e.csv", csv(WITHOUT_OFFSET.assign(event_time=inside(hhmm)))),
    "offset inside, no colon": (
        "e.csv",
        csv(WITHOUT_OFFSET.assign(event_time=inside(lambda minutes: hhmm(minutes).replace(":", "")))),
    ),
    "offset inside and as a column": ("e.csv", csv(TEXT.assign(event_time=inside(hhmm)))),
    "offset as +02:00": ("e.csv", csv(TEXT.assign(utc_offset_minutes=[hhmm(minutes) for minutes in OFFSETS]))),
    "offset in hours": ("e.csv", csv(TEXT.assign(utc_offset_minutes=[minutes / 60 for minutes in OFFSETS]))),
    "offset in seconds": ("e.csv", csv(TEXT.assign(utc_offset_minutes=[minutes * 60 for minutes in OFFSETS]))),
    "page types as floats": ("e.csv", csv(TEXT.assign(page_type=TEXT["page_type"].astype(float)))),
    "other case of the platform": ("e.csv", csv(TEXT.assign(platform=TEXT["platform"].str.upper()))),
}


@pytest.mark.parametrize("case", READ)
def test_every_shape_of_text_gives_the_same_events(case: str, tmp_path: Path) -> None:
    name, content = READ[case]
    (tmp_path / name).write_bytes(content)
    assert_same(read_events(tmp_path / name))


def assert_same(table: pa.Table, expected: pd.DataFrame = BASE) -> None:
    assert table.schema == ARROW_SCHEMA
    for column in expected:
        assert table[column].to_pylist() == expected[column].to_list(), column


def test_a_zip(tmp_path: Path) -> None:
    (tmp_path / "e.csv.zip").write_bytes(zipped(csv(TEXT), tmp_path))
    assert_same(read_events(tmp_path / "e.csv.zip"))


PLAIN = pa.Table.from_pandas(BASE, preserve_index=False)


def replaced(column: str, values: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Table:
    return PLAIN.set_column(PLAIN.schema.get_field_index(column), column, values)


PARQUET: dict[str, pa.Table] = {
    "int64": PLAIN,
    "string times": replaced("event_time", pa.array(ISO)),
    "epoch": replaced("event_time", PLAIN["event_time"].cast(pa.timestamp("ms", "UTC"), safe=False).cast(pa.int64())),
    "without a zone": replaced("event_time", PLAIN["event_time"].cast(pa.timestamp("us"), safe=False)),
    "nanoseconds": replaced("event_time", PLAIN["event_time"].cast(pa.timestamp("ns", "Asia/Kathmandu"))),
    "dictionary": replaced("user_id", PLAIN["user_id"].combine_chunks().dictionary_encode()),
    "large string": replaced("user_id", PLAIN["user_id"].cast(pa.large_string())),
    "binary": replaced("user_id", PLAIN["user_id"].cast(pa.binary())),
    "decimal": replaced("page_type", PLAIN["page_type"].cast(pa.int32()).cast(pa.decimal128(10, 0))),
    "double": replaced("utc_offset_minutes", PLAIN["utc_offset_minutes"].cast(pa.float64())),
    "nested column beside": PLAIN.append_column("event_properties", pa.array([{"a": 1}] * ROWS)),
}


@pytest.mark.parametrize("case", PARQUET)
def test_every_type_of_parquet_gives_the_same_events(case: str, tmp_path: Path) -> None:
    pq.write_table(PARQUET[case], tmp_path / "e.parquet")
    assert_same(read_events(tmp_path / "e.parquet"))


def test_integer_users_are_text(tmp_path: Path) -> None:
    pq.write_table(replaced("user_id", pa.array([7, 8, 9] * 2)), tmp_path / "e.parquet")
    assert read_events(tmp_path / "e.parquet")["user_id"].to_pylist() == ["7", "8", "9"] * 2


def test_folders_of_files_whose_types_differ(tmp_path: Path) -> None:
    for kind in ("parquet", "csv"):
        (tmp_path / kind / "dt=2026-11-20").mkdir(parents=True)
    pq.write_table(PLAIN[:3], tmp_path / "parquet/dt=2026-11-20/a.snappy.parquet")
    pq.write_table(replaced("event_time", pa.array(ISO))[3:], tmp_path / "parquet/b.parquet")
    (tmp_path / "parquet/_SUCCESS").touch()
    assert sorted(read_events(tmp_path / "parquet")["event_time"].to_pylist()) == UTC_TIMES
    TEXT[:3].to_csv(tmp_path / "csv/a.csv", index=False)
    TEXT[3:].to_csv(tmp_path / "csv/b.csv", index=False)
    assert_same(read_events(tmp_path / "csv"))


REFUSED: dict[str, tuple[pd.DataFrame, str, str]] = {
    "dates": (TEXT.assign(event_time="2026-11-20"), "event_time must have a time of day", "--columns event_time="),
    "no local time": (WITHOUT_OFFSET, "do not tell local time", "--time-zone Europe/Berlin"),
    "other times": (TEXT.assign(event_time="20.11.2026 08:15"), "event_time must be an ISO-8601 time", "--time-format"),
    "empty times": (TEXT.assign(event_time=[None, *ISO[1:]]), "event_time must not be empty", "Remove"),
    "empty users": (TEXT.assign(user_id=[None, *"abcde"]), "user_id must not be empty", "--columns user_id="),
    "long users": (TEXT.assign(user_id="x" * 257), "1 to 256 characters", "--columns user_id="),
    "page types in words": (
        TEXT.assign(page_type="home"),
        "page_type must be a whole number from 1 to 4",
        "--page-types",
    ),
    "page type 0": (TEXT.assign(page_type=0), "from 1 to 4", "--page-types"),
    "page type 5": (TEXT.assign(page_type=TEXT["page_type"] + 1), "from 1 to 4", "--page-types"),
    "offset in words": (TEXT.assign(utc_offset_minutes="CET"), "whole number of minutes", "--time-zone"),
    "offset too far": (TEXT.assign(utc_offset_minutes=[0, 70_000, 0, 0, 0, 0]), "from -720 to 840", "--offset-unit"),
    "zones that do not exist": (
        WITHOUT_OFFSET.assign(time_zone="Berlin"),
        "time_zone must be the name of a zone",
        "--time-zone",
    ),
    "years ago": (TEXT.assign(event_time="1970-01-01T00:00:00Z"), "must not be before 1990", "unit"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_names_column_rule_rows_and_option(case: str, tmp_path: Path) -> None:
    frame, rule, option = REFUSED[case]
    frame.to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(InputError) as caught:
        read_events(tmp_path / "e.csv")
    assert rule in caught.value.headline
    assert option in caught.value.remedy
    assert case == "no local time" or "row " in caught.value.cause


def test_dates_of_parquet_are_refused(tmp_path: Path) -> None:
    pq.write_table(replaced("event_time", PLAIN["event_time"].cast(pa.date32(), safe=False)), tmp_path / "e.parquet")
    with pytest.raises(InputError, match="must have a time of day"):
        read_events(tmp_path / "e.parquet")


@pytest.mark.parametrize("name", ["no_header.csv", "empty_folder", "zero.csv", "header_only.csv"])
def test_files_without_events(name: str, tmp_path: Path) -> None:
    (tmp_path / "no_header.csv").write_bytes(TEXT.to_csv(index=False, header=False).encode())
    (tmp_path / "empty_folder").mkdir()
    (tmp_path / "zero.csv").touch()
    (tmp_path / "header_only.csv").write_bytes(csv(TEXT[:0]))
    with pytest.raises(InputError, match=r"Missing column|contains no events|is empty"):
        read_events(tmp_path / name)


@pytest.mark.parametrize("wrong", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2038-01-19T03:14:07Z"])
def test_a_few_rows_of_a_wrong_clock_are_left_out_and_named(wrong: str, tmp_path: Path) -> None:
    TEXT.assign(event_time=[*ISO[:5], wrong]).to_csv(tmp_path / "e.csv", index=False)
    with reading(tmp_path / "e.csv", now=UTC_TIMES[-1]) as events:
        assert sum(batch.num_rows for batch in events.batches()) == 5
        assert sum(events.left_out.values()) == 1
        assert any("row 6" in note for note in events.notes)


EXPORTS: dict[str, dict[str, Any]] = {
    "amplitude": {"amplitude_id": 9, "user_id": "a", "event_time": "2026-11-20 08:15:00.5", "platform": "iOS"},
    "mixpanel": {"event": "open", "properties": {"distinct_id": "a", "time": 1795162500, "$os": "iOS"}},
    "segment": {"anonymousId": "a", "timestamp": "2026-11-20T08:15:00Z", "context": {"device": {"type": "ios"}}},
    "snowplow": {"domain_userid": "a", "collector_tstamp": "2026-11-20 08:15:00", "os_family": "iOS"},
    "ga4": {"user_pseudo_id": "a", "event_timestamp": "1795162500000000", "platform": "IOS"},
    "posthog": {"distinct_id": "a", "timestamp": "2026-11-20T08:15:00+00:00", "properties": {"$os": "iOS"}},
    "plain": {"user": "a", "time": "2026-11-20T08:15Z"},
}


@pytest.mark.parametrize("tool", EXPORTS)
def test_the_export_of_each_tool_is_known_by_its_columns(tool: str, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(json.dumps(EXPORTS[tool]) + "\n")
    with reading(tmp_path / "e.jsonl", EventsMapping(time_zone="Europe/Berlin")) as events:
        (batch,) = events.batches()
        assert any(f"those of {tool}" in note for note in events.notes)
    (row,) = batch.to_pylist()
    assert row["user_id"] == "a"
    assert row["event_time"].replace(microsecond=0) == datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
    assert (row["utc_offset_minutes"], row["page_type"]) == (60, 1)
    assert row["platform"] == ("other" if tool in ("plain", "segment") else "ios")
    assert EXPORTS.keys() == TOOLS.keys()


def test_the_order_of_the_sources_of_local_time(tmp_path: Path) -> None:
    rows = [
        ("2026-07-01T12:00:00+03:00", "90", "Asia/Tokyo"),
        ("2026-07-01T12:00:00+03:00", "", "Asia/Tokyo"),
        ("1782907200", "", "Asia/Tokyo"),
        ("1782907200", "", ""),
    ]
    frame = pd.DataFrame(rows, columns=["event_time", "utc_offset_minutes", "time_zone"]).assign(user_id="a")
    frame.to_csv(tmp_path / "e.csv", index=False)
    table = read_events(tmp_path / "e.csv", EventsMapping(time_zone="Europe/Berlin"))
    assert table["utc_offset_minutes"].to_pylist() == [90, 180, 540, 120]


def test_a_mapping_file(tmp_path: Path) -> None:
    (tmp_path / "events.toml").write_text(
        'time_format = "%d.%m.%Y %H:%M"\ntime_zone = "Europe/Berlin"\nlocal_times = true\n'
        '[columns]\nuser_id = "who|device"\nevent_time = "when"\npage_type = "page"\nplatform = "os"\n'
        '[page_types]\nhome = 1\n"*" = 4\n[platforms]\ntelly = "web"\n'
    )
    (tmp_path / "e.csv").write_text(
        "who,device,when,page,os\na,x,01.07.2025 10:00,home,telly\n,y,01.12.2025 10:00,?,\n"
    )
    table = read_events(tmp_path / "e.csv", read_mapping(tmp_path / "events.toml"))
    assert table.to_pylist() == [
        {
            "user_id": user,
            "event_time": datetime(2025, month, 1, hour, tzinfo=UTC),
            "utc_offset_minutes": offset,
            "page_type": page,
            "platform": platform,
        }
        for user, month, hour, offset, page, platform in [("a", 7, 8, 120, 1, "web"), ("y", 12, 9, 60, 4, "other")]
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"},
        {"columns": {"user": "a"}},
        {"columns": "a"},
        {"offset_unit": "days"},
        {"page_types": {"a": 5}},
        {"platforms": {"a": "tv"}},
        {"tool": "none"},
    ],
)
def test_a_wrong_mapping_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is not a mapping of events"):
        with_settings(EventsMapping(), wrong, "events.toml")


times = st.datetimes(datetime(1995, 1, 1), datetime(2026, 11, 1)).map(lambda t: t.replace(microsecond=0))


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(st.tuples(times, st.integers(-48, 56).map(lambda quarters: 15 * quarters)), min_size=2, max_size=20),
    middle=st.sampled_from(["T", " "]),
    fraction=st.sampled_from(["", ".5", ".123456"]),
)
def test_iso_times_mean_what_python_says(
    rows: list[tuple[datetime, int]], middle: str, fraction: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [(datetime(2000, 1, 1), 15), *rows]  # an offset that is not zero
    written = [f"{time:%Y-%m-%d}{middle}{time:%H:%M:%S}{fraction}{hhmm(minutes)}" for time, minutes in rows]
    path = tmp_path_factory.mktemp("iso") / "e.csv"
    pd.DataFrame({"user_id": "a", "event_time": written}).to_csv(path, index=False)
    table = read_events(path)
    expected = [datetime.fromisoformat(text).astimezone(UTC) for text in written]
    assert table["event_time"].to_pylist() == [
        time.replace(microsecond=time.microsecond // 1000 * 1000) for time in expected
    ]
    assert table["utc_offset_minutes"].to_pylist() == [minutes for _, minutes in rows]


@settings(max_examples=15, deadline=None)
@given(
    found=st.lists(times, min_size=1, max_size=20),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    scale=st.sampled_from([1, 1000, 1_000_000]),
)
def test_epochs_and_zones_mean_what_python_says(
    found: list[datetime], zone: str, scale: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    instants = [time.replace(tzinfo=timezone.utc) for time in found]  # noqa: UP017
    path = tmp_path_factory.mktemp("epoch") / "e.csv"
    numbers = [int(instant.timestamp()) * scale for instant in instants]
    pd.DataFrame({"user_id": "a", "event_time": numbers, "time_zone": zone}).to_csv(path, index=False)
    table = read_events(path)
    assert table["event_time"].to_pylist() == instants
    offsets = [instant.astimezone(ZoneInfo(zone)).utcoffset() for instant in instants]
    assert table["utc_offset_minutes"].to_pylist() == [int((o or timedelta()).total_seconds() // 60) for o in offsets]


@settings(max_examples=15, deadline=None)
@given(
    offsets=st.lists(st.integers(-48, 56).map(lambda quarters: 15 * quarters), min_size=1, max_size=20),
    unit=st.sampled_from([("hours", 60.0), ("minutes", 1.0), ("seconds", 1 / 60)]),
)
def test_the_unit_of_offsets_is_told_apart(
    offsets: list[int], unit: tuple[str, float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("offset") / "e.csv"
    written = [minutes / unit[1] for minutes in offsets]
    pd.DataFrame({"user_id": "a", "event_time": ISO[0], "utc_offset_minutes": written}).to_csv(path, index=False)
    assert read_events(path)["utc_offset_minutes"].to_pylist() == offsets


def test_all_page_types_are_one_kind_if_the_mapping_says_so(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(
        "user,time,page_type\na,2025-07-01T10:00:00+02:00,home\na,2025-07-01T11:00:00+02:00,\n"
    )
    table = read_events(tmp_path / "e.csv", EventsMapping(page_types={"*": 2}))
    assert table["page_type"].to_pylist() == [2, 2]
