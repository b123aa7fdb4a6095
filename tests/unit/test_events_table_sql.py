"""A table of one's own gives in Athena the events that DuckDB reads from the same rows, or is refused as there."""

from __future__ import annotations

import re
import shlex
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handlers_in_moto import BUCKET, handler_module

from benchmarks.athena_sql import on_duckdb
from functions.publish_sql import event_times, mapping
from functions.publish_sql.app import composed
from functions.publish_sql.events_table import mapped_events
from functions.publish_sql.mapping import Refused, read_mapping
from visitcast.data import schema
from visitcast.events import command
from visitcast.events import mapping as laptops
from visitcast.events.reading import read_events

ROWS = 6
FOLDER = Path(__file__).parents[2] / "sql"
SQL = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.sql")}
START = datetime(2026, 6, 20, 8, 15, 30, 250_000, tzinfo=UTC)
TIMES = [START + timedelta(hours=7 * number, days=25 * number) for number in range(6)]
OFFSETS = [120, -240, 330, 60, -210, 60]
ISO = [f"{time:%Y-%m-%dT%H:%M:%S}.250Z" for time in TIMES]
PLATFORMS = ["iOS", "android 14", "Web", "telly", None, "MacOS"]


def hhmm(minutes: int, between: str = ":") -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{between}{abs(minutes) % 60:02}"


def inside(between: str = ":") -> list[str]:
    local = [time + timedelta(minutes=minutes) for time, minutes in zip(TIMES, OFFSETS, strict=True)]
    return [f"{time:%Y-%m-%d %H:%M:%S}.250{hhmm(m, between)}" for time, m in zip(local, OFFSETS, strict=True)]


def rows(**columns: Any) -> pa.Table:
    """Events of six rows; a column that is None is left out."""
    base: dict[str, Any] = {
        "user_id": ["a", "b", "c"] * 2,
        "event_time": pa.array(TIMES, pa.timestamp("us", "UTC")),
        "utc_offset_minutes": OFFSETS,
        "page_type": [1, 2, 3, 4, 1, 2],
        "platform": PLATFORMS,
    }
    return pa.table({name: values for name, values in {**base, **columns}.items() if values is not None})


def own(**columns: Any) -> pa.Table:
    """A table without the columns of the events table."""
    return rows(**dict.fromkeys(("user_id", "event_time", "utc_offset_minutes", "page_type", "platform")) | columns)


ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", None, "", "Asia/Tokyo"]
CONTEXT = [{"timezone": zone, "device": {"type": name}} for zone, name in zip(ZONES, PLATFORMS, strict=True)]
BERLIN = "--time-zone Europe/Berlin"
EPOCH = [int(time.timestamp()) for time in TIMES]
EPOCH_MS = [int(time.timestamp() * 1000) for time in TIMES]
EPOCH_US = [int(time.timestamp() * 1_000_000) for time in TIMES]
SAME: dict[str, tuple[pa.Table, str]] = {
    "int64 as pandas writes it": (rows(), ""),
    "timestamps in ms without a zone": (rows(event_time=pa.array(TIMES, pa.timestamp("ms"))), ""),
    "timestamps in ns": (rows(event_time=pa.array(TIMES, pa.timestamp("ns"))), ""),
    "ISO texts": (rows(event_time=ISO), ""),
    "BigQuery's texts": (rows(event_time=[f"{time:%Y-%m-%d %H:%M:%S} UTC" for time in TIMES]), ""),
    "compact texts": (rows(event_time=[f"{time:%Y%m%d%H%M%S}" for time in TIMES]), ""),
    "offsets inside": (rows(event_time=inside(), utc_offset_minutes=None), ""),
    "offsets inside, no colon": (rows(event_time=inside(""), utc_offset_minutes=None), ""),
    "epoch seconds": (rows(event_time=EPOCH), ""),
    "epoch milliseconds": (rows(event_time=EPOCH_MS), ""),
    "epoch microseconds": (rows(event_time=EPOCH_US), ""),
    "epoch as double": (rows(event_time=[float(number) for number in EPOCH]), ""),
    "epoch as text": (rows(event_time=[f"{number}.25" for number in EPOCH]), ""),
    "a time format": (
        rows(event_time=[f"{time:%d.%m.%Y %H:%M}" for time in TIMES]),
        '--time-format "%d.%m.%Y %H:%M"',
    ),
    "local times of a format": (
        rows(event_time=[f"{time:%d.%m.%Y %H:%M}" for time in TIMES], utc_offset_minutes=None),
        f'--time-format "%d.%m.%Y %H:%M" --local-times {BERLIN}',
    ),
    "local timestamps": (rows(event_time=pa.array(TIMES, pa.timestamp("ms"))), "--local-times"),
    "offset as +02:00": (rows(utc_offset_minutes=[hhmm(minutes) for minutes in OFFSETS]), ""),
    "offset in hours": (rows(utc_offset_minutes=[minutes / 60 for minutes in OFFSETS]), "--offset-unit hours"),
    "offset in seconds": (rows(utc_offset_minutes=[minutes * 60 for minutes in OFFSETS]), "--offset-unit seconds"),
    "one zone": (rows(utc_offset_minutes=None), BERLIN),
    "zones": (rows(utc_offset_minutes=None, time_zone=ZONES), BERLIN),
    "first of two columns": (
        own(member=["a", None, "", "d", "e", "f"], device=["u", "v", "w", "x", "y", "z"], at=EPOCH_MS, os=PLATFORMS),
        f"--columns user_id=member|device,event_time=at,platform=os {BERLIN} --platforms telly=web",
    ),
    "page types by name": (
        rows(page_type=["home", "search", "x", None, "home", "it's"]),
        "--page-types home=1,search=2,it's=3,*=4".replace("it's", '"it\'s"'),
    ),
    "page types as one kind": (rows(page_type=["home"] * 6), "--columns page_type="),
    "no page type, no platform": (rows(page_type=None, platform=None), ""),
    "whole numbers as users": (rows(user_id=[7, 8, 9] * 2), ""),
    "amplitude": (own(amplitude_id=[1, 2] * 3, user_id=["a", None] * 3, event_time=ISO, platform=PLATFORMS), BERLIN),
    "mixpanel": (own(properties=[{"distinct_id": "a", "time": at, "$os": "iOS"} for at in EPOCH]), BERLIN),
    "segment": (own(anonymousid=["a", "b"] * 3, timestamp=ISO, context=CONTEXT), BERLIN),
    "snowplow": (
        own(
            domain_userid=["a"] * 6,
            collector_tstamp=pa.array(TIMES, pa.timestamp("ms")),
            derived_tstamp=pa.array([None, *TIMES[1:]], pa.timestamp("ms")),
            os_timezone=ZONES,
            os_family=PLATFORMS,
        ),
        BERLIN,
    ),
    "ga4": (
        own(
            user_pseudo_id=["a"] * 6,
            event_timestamp=EPOCH_US,
            device=[{"time_zone_offset_seconds": minutes * 60} for minutes in OFFSETS],
        ),
        BERLIN,
    ),
    "posthog": (
        own(distinct_id=["a"] * 6, timestamp=ISO, properties=[{"$os": "iOS", "$timezone": z} for z in ZONES]),
        BERLIN,
    ),
    "plain": (own(user=["a"] * 6, time=[time.replace("Z", "") for time in ISO]), f"{BERLIN} --local-times"),
}


def glue_type(kind: pa.DataType) -> str:
    """Return the type that a Glue crawler gives to a column."""
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{field.name}:{glue_type(field.type)}' for field in kind)}>"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    return {"int64": "bigint", "int32": "int", "date32[day]": "date", "null": "string", "bool": "boolean"}.get(
        f"{kind}", f"{kind}"
    )


def glue_table(table: pa.Table, partition_keys: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """Return what Glue says of a table."""
    keys = partition_keys or {}
    return {
        "DatabaseName": "lake",
        "Name": "app-events",
        "PartitionKeys": [{"Name": name, "Type": kind} for name, kind in keys.items()],
        "StorageDescriptor": {
            "Location": "s3://the-lake/app/events/",
            "Columns": [{"Name": f.name, "Type": glue_type(f.type)} for f in table.schema if f.name not in keys],
        },
        **more,
    }


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:
        opened.create_function("crc32", lambda data: zlib.crc32(data), ["BLOB"], "BIGINT")
        yield opened


def in_athena(
    connection: duckdb.DuckDBPyConnection, table: pa.Table, options: str, **more: Any
) -> list[dict[str, Any]]:
    """Return the events that the mapping's SQL reads from a table; times are those of Athena, without a zone."""
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):  # Athena reads no zone of a Parquet file
            table = table.set_column(position, field.name, table[field.name].cast(pa.timestamp(field.type.unit)))
    connection.register("given", table)
    connection.execute('CREATE SCHEMA lake; CREATE TABLE lake."app-events" AS SELECT * FROM given')
    query = mapped_events(glue_table(table, **more), read_mapping(options))
    found: list[dict[str, Any]] = connection.sql(on_duckdb(query)).to_arrow_table().to_pylist()
    return found


@pytest.mark.parametrize("case", SAME)
def test_the_rows_of_a_table_are_the_events_that_duckdb_reads(
    case: str, tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    table, options = SAME[case]
    pq.write_table(table, tmp_path / "events.parquet")
    parsed = command.mapping_options().parse_args(shlex.split(options))
    expected = read_events(tmp_path / "events.parquet", command.mapping_of(parsed, tmp_path)).to_pylist()
    found = in_athena(connection, table, options)
    for row, known in zip(found, expected, strict=True):
        assert row.pop("dt") == f"{known['event_time']:%Y-%m-%d}"
        assert row | {"event_time": row["event_time"].replace(tzinfo=UTC)} == known


def test_rows_are_read_by_the_first_source_of_local_time_that_they_have(connection: duckdb.DuckDBPyConnection) -> None:
    table = pa.table(
        {
            "user_id": ["a", "b", "c", "d", "e"],
            "event_time": ["2026-07-01T12:00:00+03:00"] * 2 + ["1782907200"] * 2 + ["2026-07-01T12:00:00Z"],
            "utc_offset_minutes": [90, None, None, None, None],
            "time_zone": ["Asia/Tokyo", "Asia/Tokyo", "Asia/Tokyo", None, "Asia/Tokyo"],
        }
    )
    assert [row["utc_offset_minutes"] for row in in_athena(connection, table, BERLIN)] == [90, 180, 540, 120, 540]


PARTITIONS: dict[str, tuple[Any, str]] = {
    "string": (["2026-06-20"] * 6, "string"),
    "date": (pa.array([TIMES[0].date()] * 6, pa.date32()), "date"),
    "int": (pa.array([20260620] * 6, pa.int32()), "int"),
}


@pytest.mark.parametrize("case", PARTITIONS)
def test_a_partition_column_with_dates_is_dt(case: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Engines leave partitions out by conditions on dt, so it is the column and not made from the time."""
    values, kind = PARTITIONS[case]
    found = in_athena(connection, rows(day=values), "--partition day", partition_keys={"day": kind})
    assert [row["dt"] for row in found] == ["2026-06-20"] * 6


BROKEN: dict[str, tuple[pa.Table, str, str]] = {
    "other times": (rows(event_time=["20.11.2026 08:15"] * 6), "", "column event_time must be an ISO-8601 time"),
    "impossible times": (rows(event_time=["2026-13-45 08:15:00"] * 6), "", "column event_time must be an ISO-8601"),
    "dates as texts": (rows(event_time=["2026-11-20"] * 6), "", "column event_time must have a time of day"),
    "another format": (rows(event_time=ISO), '--time-format "%d.%m.%Y"', "column event_time must have the time format"),
    "offsets in words": (rows(utc_offset_minutes=["CET"] * 6), "", "column utc_offset_minutes must be a whole number"),
    "offsets in seconds": (rows(utc_offset_minutes=[7200] * 6), "", "--offset-unit names another unit; value 7200"),
    "no local time": (rows(utc_offset_minutes=None, event_time=ISO), "", "give the zone of rows without an offset"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_row_that_cannot_be_read_ends_the_query_with_column_rule_and_value(
    case: str, connection: duckdb.DuckDBPyConnection
) -> None:
    table, options, rule = BROKEN[case]
    with pytest.raises(duckdb.ConversionException, match=re.escape(rule)):
        in_athena(connection, table, options)


def test_a_row_without_a_time_is_kept_for_the_rules_to_count(connection: duckdb.DuckDBPyConnection) -> None:
    for times in (["", None, *ISO[2:]], pa.array([None, None, *TIMES[2:]], pa.timestamp("ms"))):
        connection.execute("DROP SCHEMA IF EXISTS lake CASCADE")
        found = in_athena(connection, rows(event_time=times, utc_offset_minutes=None), BERLIN)
        assert [row["event_time"] is None for row in found] == [True, True, *[False] * 4]


REFUSED: dict[str, tuple[pa.Table, str, tuple[str, ...]]] = {
    "dates": (
        rows(event_time=pa.array([time.date() for time in TIMES], pa.date32())),
        "",
        ("Column event_time", "type date", "--columns event_time="),
    ),
    "times of another type": (rows(event_time=[True] * 6), "", ("Column event_time", "boolean", "--columns")),
    "users as doubles": (rows(user_id=[1.5] * 6), "", ("Column user_id", "double", "--columns user_id=")),
    "a struct as user": (
        own(who=CONTEXT, time=ISO),
        "--columns user_id=who,event_time=time",
        ("Column who", "struct", "--columns"),
    ),
    "a column that is missing": (
        rows(),
        "--columns user_id=nobody",
        ("Missing column: nobody", "event_time", "--columns"),
    ),
    "no users": (own(time=ISO, x=ISO), "", ("Missing column: user_id", "time, x", "--columns")),
    "no local time": (rows(utc_offset_minutes=None), "", ("do not tell local time", "--time-zone Europe/Berlin")),
    "no such zone": (rows(), "--time-zone Berlin", ("time zone does not exist", "'Berlin'", "Europe/Berlin")),
    "a format that Athena lacks": (rows(event_time=ISO), "--time-format %Y%z", ("%z", "date_parse")),
    "a format for timestamps": (rows(), "--time-format %Y", ("event_time has timestamps", "Leave --time-format out")),
    "no such partition": (
        rows(),
        "--partition day",
        ("day is not a partition column", "none", "leave --partition out"),
    ),
    "no such option": (rows(), "--colums a=b", ("EventsMapping cannot be read", "--colums", "mean --columns?")),
    "page types without pages": (rows(page_type=None), "--page-types home=1", ("Values are given for page_type",)),
    "platforms without platforms": (rows(platform=None), "--platforms tv=web", ("Values are given for platform",)),
    "no such field": (rows(), "--columns user=a", ("--columns has user=a", "user_id")),
    "no such unit": (rows(), "--offset-unit days", ("EventsMapping cannot be read", "days")),
    "no such page type": (rows(), "--page-types home=5", ("home=5", "1, 2, 3, 4")),
    "no such platform": (rows(), "--platforms tv=tv", ("tv=tv", "web")),
    "a quote that does not end": (rows(), "--time-zone 'Europe", ("EventsMapping cannot be read", "quotation")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_column_type_and_remedy(case: str) -> None:
    table, options, told = REFUSED[case]
    with pytest.raises(Refused) as caught:
        mapped_events(glue_table(table), read_mapping(options))
    assert [text for text in told if text not in f"{caught.value}"] == []


def test_visits_of_a_table_of_ones_own_are_those_of_its_events(connection: duckdb.DuckDBPyConnection) -> None:
    table, options = SAME["segment"]
    events = pa.Table.from_pylist(in_athena(connection, table, options))
    connection.execute(
        "CREATE TABLE events AS FROM events; "
        "CREATE TABLE sends (idempotency_key VARCHAR, user_id VARCHAR, dt VARCHAR, send_at_utc TIMESTAMP, "
        "withheld VARCHAR, chance FLOAT, visit_probability FLOAT)"
    )
    mapped = f"(\n{mapped_events(glue_table(table), read_mapping(options))}\n)"
    expected, found = (
        connection.sql(on_duckdb(composed(SQL, *of)["own_visits.sql"])).fetchall() for of in ((), (mapped,))
    )
    assert len(events) == ROWS
    assert found == expected != []


@pytest.fixture
def publish_sql(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with handler_module(monkeypatch, "publish_sql", "s3") as app:
        glue = boto3.client("glue")
        glue.create_database(DatabaseInput={"Name": "lake"})
        described = glue_table(SAME["segment"][0])
        glue.create_table(
            DatabaseName="lake", TableInput={name: described[name] for name in ("Name", "StorageDescriptor")}
        )
        yield app


def test_a_deployment_publishes_the_mapping_and_says_where_the_objects_are(publish_sql: Any) -> None:
    given = {"EventsDatabase": "lake", "EventsTable": "app-events", "EventsMapping": BERLIN}
    events, data = publish_sql.own_events(given)
    assert data == {"EventsBucket": "the-lake", "EventsObjects": "the-lake/app/events/*"}
    texts = {}
    for query in ("", events):
        prefix = publish_sql.publish(BUCKET, FOLDER, query)["SqlPrefix"]
        listed = publish_sql.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/")["Contents"]
        bodies = {item["Key"]: publish_sql.s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"] for item in listed}
        texts[query] = {key.rpartition("/")[2]: body.read().decode() for key, body in bodies.items()}
    assert texts[""] == composed(SQL)
    assert texts[events].pop("events.sql") == events
    for name in ("own_visits.sql", "histories.sql", "event_counts.sql"):
        assert '"lake"."app-events"' in texts[events][name]
        assert '"lake"' not in texts[""][name]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"EventsTable": "none"}, "lake.none cannot be described"),
        ({"EventsMapping": "--columns user_id=nobody"}, "Missing column: nobody"),
        ({"EventsMapping": ""}, ""),
    ],
)
def test_a_deployment_with_a_wrong_table_or_mapping_is_refused(publish_sql: Any, given: Any, told: str) -> None:
    properties = {"EventsDatabase": "lake", "EventsTable": "app-events", **given}
    if told:
        with pytest.raises(Refused, match=told):
            publish_sql.own_events(properties)
    else:
        assert publish_sql.own_events(properties)[0]
    assert publish_sql.own_events({"Bucket": BUCKET}) == ("", {})


def test_a_view_is_refused() -> None:
    with pytest.raises(Refused, match="is a view"):
        mapped_events(glue_table(rows(), TableType="VIRTUAL_VIEW"), read_mapping(""))


def test_both_sides_have_the_same_words() -> None:
    assert mapping.FIELDS == laptops.FIELDS
    assert set(mapping.PLATFORMS) == set(schema.PLATFORMS)
    assert mapping.PAGE_TYPES == laptops.PAGE_TYPES
    assert {name: tool["columns"] for name, tool in mapping.TOOLS.items()} == laptops.TOOLS
    assert (event_times.WESTERNMOST_MINUTES, event_times.EASTERNMOST_MINUTES) == (
        schema.WESTERNMOST_MINUTES,
        schema.EASTERNMOST_MINUTES,
    )
    assert {*laptops.TOOLS} <= {*SAME}
