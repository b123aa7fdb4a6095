"""sql/histories.sql returns the rows of sql/own_visits.sql as one row per user, each in the bucket of its hash."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from benchmarks.athena_sql import on_duckdb
from functions.publish_sql.app import composed
from visitcast.data import schema

SQL = {file.name: file.read_text(encoding="utf-8") for file in (Path(__file__).parents[2] / "sql").glob("*.sql")}
PUBLISHED = composed(SQL)["histories.sql"].replace("${destination}", "s3://bucket/run/histories/")

EVENTS = """
CREATE TABLE events AS
SELECT 'user ' || (n * 7919 % 97) AS user_id,
       TIMESTAMP '2026-03-01 00:00:00' + to_seconds(n * 104729 % 5000000) AS event_time,
       CAST(n % 3 * 60 - 60 AS SMALLINT) AS utc_offset_minutes,
       CAST(n % 4 + 1 AS TINYINT) AS page_type,
       CASE WHEN n % 5 > 0 THEN 'ios' END AS platform
FROM range(4000) AS t(n)
"""

SENDS = """
CREATE TABLE sends AS
SELECT user_id, CAST(CAST(event_time AS DATE) AS VARCHAR) AS dt, event_time - to_minutes(20) AS send_at_utc,
       CAST(0.1 AS FLOAT) AS chance, CAST(0.5 AS FLOAT) AS visit_probability,
       CASE WHEN page_type = 1 THEN 'no_push' END AS withheld, md5(CAST(event_time AS VARCHAR)) AS idempotency_key
FROM events
"""


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:
        opened.create_function("crc32", lambda data: zlib.crc32(data), ["BLOB"], "BIGINT")
        opened.execute(EVENTS)
        opened.execute(SENDS)
        yield opened


def test_the_published_sql_holds_the_visits_and_lacks_only_the_destination() -> None:
    published = composed(SQL)
    assert published["visits.sql"] == SQL["visits.sql"]
    assert SQL["visits.sql"] in published["own_visits.sql"]
    assert published["own_visits.sql"] in published["histories.sql"]
    assert "${" not in PUBLISHED


def test_histories_are_the_visits(connection: duckdb.DuckDBPyConnection) -> None:
    histories = connection.sql(on_duckdb(PUBLISHED)).to_arrow_table().to_pylist()
    visits = []
    for history in histories:
        user = history.pop("user_id")
        assert history.pop("bucket") == zlib.crc32(user.encode()) % 64
        days = zip(*history.values(), strict=True)
        visits += [{"user_id": user, **dict(zip(history, day, strict=True))} for day in days]

    expected = connection.sql(on_duckdb(composed(SQL)["own_visits.sql"])).fetchall()
    found = [tuple(visit[name] for name in schema.VISITS_COLUMNS) for visit in visits]
    # Stable: within a user the order is the one of the lists.
    found.sort(key=lambda visit: visit[0])
    assert [(user, str(day), *rest) for user, day, *rest in found] == expected
    assert len({user for user, *_ in expected}) == len(histories)
    assert len(expected) > 1000
