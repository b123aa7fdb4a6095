"""Events that `make check-events` refuses are refused on AWS too, by the counts of sql/event_counts.sql."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.athena_sql import on_duckdb
from functions.get_query_execution import rules as ours
from functions.publish_sql.app import composed
from visitcast.data import schema
from visitcast.errors import InputError
from visitcast.events import rules as laptops
from visitcast.events.reading import reading
from visitcast.events.report import report_on

SQL = {file.name: file.read_text(encoding="utf-8") for file in (Path(__file__).parents[2] / "sql").glob("*.sql")}
ROWS = 2000
START = datetime(2026, 3, 1, 6, 20, tzinfo=UTC)


def events(**columns: Any) -> pa.Table:
    """Twenty users over a hundred days."""
    base = {
        "user_id": [f"user {number % 20}" for number in range(ROWS)],
        "event_time": [START + timedelta(days=number // 20, minutes=number % 7 * 61) for number in range(ROWS)],
        "utc_offset_minutes": [(60, -300, 330)[number % 3] for number in range(ROWS)],
        "page_type": [number % 4 + 1 for number in range(ROWS)],
        "platform": ["ios"] * ROWS,
    }
    table = pa.table({**base, **columns})
    time = table["event_time"].cast(pa.timestamp("ms"))
    return table.set_column(table.schema.get_field_index("event_time"), "event_time", time)


def first(count: int, wrong: Any, column: str) -> dict[str, list[Any]]:
    """Values of a column of which the first are wrong."""
    return {column: [wrong] * count + events()[column].to_pylist()[count:]}


NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
DAYS = [(START + timedelta(days=number // 20)).replace(hour=0, minute=0) for number in range(ROWS)]
REFUSED: dict[str, tuple[pa.Table, str]] = {
    "dates": (events(event_time=DAYS), "2000 of 2000 rows are at exactly 00:00:00"),
    "local dates": (
        events(event_time=[day - timedelta(hours=2) for day in DAYS], utc_offset_minutes=[120] * ROWS),
        "are at exactly 00:00:00",
    ),
    "many ancient rows": (
        events(**first(100, datetime(1970, 1, 1), "event_time")),
        "100 of 2000 rows have an event_time before",
    ),
    "many future rows": (events(**first(100, datetime(2970, 1, 1), "event_time")), "in the future"),
    "no time": (events(**first(1, None, "event_time")), "1 of 2000 rows have no event_time"),
    "no offset": (events(**first(1, None, "utc_offset_minutes")), "1 of 2000 rows have no utc_offset_minutes"),
    "users without identifiers": (
        events(**first(1500, "a\0", "user_id")),
        "1500 of 2000 rows have a user_id that is empty, longer",
    ),
    "page type 5": (events(**first(3, 5, "page_type")), "3 of 2000 rows have no page_type from 1 to 4"),
}
USED: dict[str, tuple[pa.Table, str]] = {
    "good events": (events(), ""),
    "some ancient rows": (events(**first(20, datetime(1970, 1, 1), "event_time")), "20 of 2000 rows were left out"),
    "a future row": (events(**first(1, datetime(2970, 1, 1), "event_time")), "1 of 2000 rows were left out"),
    "a user without an identifier": (
        events(**first(900, "x" * 100_000, "user_id")),
        "900 of 2000 rows were left out: their user_id",
    ),
    "a clock that is an hour ahead": (events(**first(1, NOW + timedelta(hours=1), "event_time")), ""),
    "a pile at midnight": (events(**first(600, datetime(2026, 3, 1), "event_time")), "600 of 2000 rows are at exactly"),
    "every offset 0": (events(utc_offset_minutes=[0] * ROWS), "Every utc_offset_minutes is 0"),
}


@pytest.fixture(scope="module")
def translated() -> dict[str, str]:
    return {name: on_duckdb(composed(SQL)[name]) for name in ("event_counts.sql", "own_visits.sql")}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:
        opened.create_function("crc32", lambda _: 0, ["BLOB"], "BIGINT")
        yield opened


def counts_of(connection: duckdb.DuckDBPyConnection, table: pa.Table, translated: dict[str, str]) -> dict[str, int]:
    connection.register("events", table)
    (found,) = connection.sql(translated["event_counts.sql"]).to_arrow_table().to_pylist()
    return {name: int(value) for name, value in found.items()}


def laptop_refuses(table: pa.Table, folder: Path) -> bool:
    pq.write_table(table, folder / "events.parquet")
    try:
        with reading(folder / "events.parquet") as read:
            return report_on(read, folder).refused is not None
    except InputError:
        return True


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_laptop_refuses_is_refused_with_its_count(
    case: str, translated: dict[str, str], connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    table, told = REFUSED[case]
    assert laptop_refuses(table, tmp_path)
    refusal = ours.refusal_of(counts_of(connection, table, translated))
    assert told in refusal
    assert "make events" in refusal


@pytest.mark.parametrize("case", USED)
def test_what_the_laptop_takes_is_taken_with_a_note(
    case: str, translated: dict[str, str], connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    table, note = USED[case]
    assert not laptop_refuses(table, tmp_path)
    counts = counts_of(connection, table, translated)
    assert ours.refusal_of(counts) == ""
    notes = ours.notes_on(counts)
    assert len(notes) == bool(note)
    assert not note or note in notes[0]


def test_offsets_in_hours_are_refused(translated: dict[str, str], connection: duckdb.DuckDBPyConnection) -> None:
    """The laptop reads them as hours; a table's rows are read one by one, so nothing can tell the unit there."""
    table = events(utc_offset_minutes=[(1, -5, 0)[number % 3] for number in range(ROWS)])
    refusal = ours.refusal_of(counts_of(connection, table, translated))
    assert "these are hours" in refusal
    assert "--offset-unit hours" in refusal


def test_rows_of_a_wrong_clock_make_no_visits(
    translated: dict[str, str], connection: duckdb.DuckDBPyConnection
) -> None:
    connection.execute(
        "CREATE TABLE sends (idempotency_key VARCHAR, user_id VARCHAR, dt VARCHAR, send_at_utc TIMESTAMP, "
        "withheld VARCHAR, chance FLOAT, visit_probability FLOAT)"
    )
    wrong = [datetime(1970, 1, 1), datetime(2970, 1, 1)]
    table = events(event_time=[*wrong, *events()["event_time"].to_pylist()[2:]])
    connection.register("events", table)
    dates = connection.sql(translated["own_visits.sql"]).to_arrow_table()["visit_date"].to_pylist()
    assert dates
    assert {date[:4] for date in dates} == {"2026"}


def test_rows_without_an_identifier_make_no_visits(
    translated: dict[str, str], connection: duckdb.DuckDBPyConnection
) -> None:
    connection.execute(
        "CREATE TABLE sends (idempotency_key VARCHAR, user_id VARCHAR, dt VARCHAR, send_at_utc TIMESTAMP, "
        "withheld VARCHAR, chance FLOAT, visit_probability FLOAT)"
    )
    strangers = [None, "", " \u2028", "a\0", "b\n", "\x1b[31m", "\x9f", "x" * 257]
    table = events(user_id=[*strangers, *events()["user_id"].to_pylist()[len(strangers) :]])
    connection.register("events", table)
    users = set(connection.sql(translated["own_visits.sql"]).to_arrow_table()["user_id"].to_pylist())
    assert users == set(events()["user_id"].to_pylist())


def test_no_events_are_left_to_the_rule_of_empty_results() -> None:
    assert ours.refusal_of(dict.fromkeys(["rows"], 0)) == ""


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("HIVE_BAD_DATA: Field page_type's type INT64 in parquet file s3://b/k is incompatible with", "make events"),
        ("INVALID_CAST_ARGUMENT: Value cannot be cast to timestamp: column at must be an ISO-8601", "EventsMapping"),
        ("COLUMN_NOT_FOUND: line 1:1: Column 'shoe_size' cannot be resolved", "Fix the SQL"),
    ],
)
def test_a_failed_query_has_a_remedy(reason: str, remedy: str) -> None:
    assert remedy in ours.remedy_for(reason)


def test_both_sides_have_the_same_limits() -> None:
    for name in (
        "LARGEST_SHARE_LEFT_OUT",
        "LARGEST_SHARE_OF_STRANGERS",
        "ALWAYS_LEFT_OUT",
        "MIDNIGHT_REFUSED",
        "MIDNIGHT_WARNED",
    ):
        assert getattr(ours, name) == getattr(laptops, name)
    first_day = f"TIMESTAMP '{laptops.FIRST_YEAR}-01-01 00:00:00'"
    ahead = f"date_add('day', {laptops.FUTURE.days}, CAST(current_timestamp AS timestamp))"
    forecast = (Path(__file__).parents[2] / "sql/forecast/last_visit_days.sql").read_text(encoding="utf-8")
    for text in (SQL["event_counts.sql"], SQL["own_visits.sql"], forecast):
        assert first_day in text
        assert ahead in text or text is forecast  # which ends at an instant
    offsets = f"NOT BETWEEN {schema.WESTERNMOST_MINUTES} AND {schema.EASTERNMOST_MINUTES}"
    assert offsets in SQL["event_counts.sql"]
