"""Athena's SQL on DuckDB: functions return what they return on Trino."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from localaws.athena import results, sql
from localaws.athena.errors import MalformedQueryError, QueryError


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:
        sql.prepare(opened)
        results.prepare(opened)
        yield opened


def value(connection: duckdb.DuckDBPyConnection, expression: str, path: Path) -> str:
    """Return the text of one expression in the result file. Aggregates have the rows x = 1, 2, 3."""
    query = sql.to_duckdb(sql.parse(f"SELECT {expression} AS v FROM (VALUES 1, 2, 3) AS t(x) LIMIT 1"))
    columns = results.columns_of(connection, query)
    results.write(connection, query, columns, path)
    return path.read_text().removeprefix('"v"\n').removesuffix("\n")


CASES = {
    "7 / 2": "3",
    "-7 / 2": "-3",
    "7e0 / 2": "3.5",
    "-7 % 3": "-1",
    "date_diff('hour', timestamp '2020-01-01 00:59:00', timestamp '2020-01-01 01:01:00')": "0",
    "date_diff('day', timestamp '2020-01-01 23:00:00', timestamp '2020-01-02 01:00:00')": "0",
    "date_diff('day', date '2020-01-31', date '2020-03-01')": "30",
    "date_diff('second', timestamp '2020-01-01 00:31:00', timestamp '2020-01-01 00:00:00')": "-1860",
    "date_diff('millisecond', timestamp '2020-01-01 00:00:00.100', timestamp '2020-01-01 00:00:01')": "900",
    "date_add('minute', 90, timestamp '2020-01-01 00:00:00')": "2020-01-01 01:30:00.000",
    "date_add('minute', CAST(-30 * max(x) AS bigint), timestamp '2020-01-01 00:00:00')": "2019-12-31 22:30:00.000",
    "date_add('day', 1, date '2020-02-28')": "2020-02-29",
    "date_add('month', 1, date '2020-01-31')": "2020-02-29",
    "date '2020-01-01' + interval '1' day": "2020-01-02",
    "date '2020-01-01' - interval '1' month": "2019-12-01",
    "timestamp '2020-01-01 00:00:00' - interval '2' hour": "2019-12-31 22:00:00.000",
    "date_trunc('week', date '2020-01-05')": "2019-12-30",
    "date_trunc('hour', timestamp '2020-01-01 05:06:07')": "2020-01-01 05:00:00.000",
    "hour(timestamp '2020-01-01 05:00:00')": "5",
    "day_of_week(date '2020-01-05')": "7",
    "dow(date '2020-01-06')": "1",
    "extract(dow FROM date '2020-01-05')": "7",
    "extract(day_of_week FROM date '2020-01-05')": "7",
    "extract(day_of_year FROM date '2020-02-01')": "32",
    "extract(hour FROM timestamp '2020-01-01 05:00:00')": "5",
    "millisecond(timestamp '2020-01-01 00:00:01.100')": "100",
    "date(timestamp '2020-01-01 05:00:00')": "2020-01-01",
    "CAST(timestamp '2020-01-01 05:00:00' AS date)": "2020-01-01",
    "last_day_of_month(date '2020-02-01')": "2020-02-29",
    "date_format(timestamp '2020-01-01 05:06:07', '%Y-%m-%d %H:%i:%s')": "2020-01-01 05:06:07",
    "date_format(date '2020-01-01', '%W %M %e')": "Wednesday January 1",
    "date_parse('2020-01-01 05', '%Y-%m-%d %H')": "2020-01-01 05:00:00.000",
    "from_unixtime(1600000000.5e0)": "2020-09-13 12:26:40.500 UTC",
    "to_unixtime(timestamp '1970-01-01 00:00:10')": "10.0",
    "hour(at_timezone(timestamp '2020-07-01 00:00:00 UTC', 'Europe/Berlin'))": "2",
    "date(timestamp '2020-01-01 23:30:00' AT TIME ZONE 'Europe/Berlin')": "2020-01-02",
    "CAST(at_timezone(with_timezone(timestamp '2020-07-01 10:00:00', 'Europe/Berlin'), 'UTC') AS timestamp)": (
        "2020-07-01 08:00:00.000"
    ),
    # A rewritten function inside another.
    "date_diff('minute', timestamp '2020-07-01', at_timezone(timestamp '2020-07-01 00:00 UTC', 'Asia/Tokyo'))": "540",
    "bitwise_or_agg(bitwise_left_shift(1, x))": "14",
    "bitwise_or_agg(CAST(bitwise_left_shift(bigint '1', CAST(x AS integer)) AS integer))": "14",
    "bitwise_left_shift(1, 23)": "8388608",
    "bitwise_right_shift(8, 1)": "4",
    "bitwise_and(6, 3)": "2",
    "crc32(to_utf8('123456789'))": "3421780262",  # the check value of CRC-32 (ISO 3309), which Trino's crc32 is
    "crc32(CAST(NULL AS varbinary)) IS NULL": "true",
    "bitwise_xor(6, 3)": "5",
    "bitwise_not(5)": "-6",
    "min_by(x, -x)": "3",
    "max_by(x, -x)": "1",
    "count_if(x > 1)": "2",
    "approx_distinct(x)": "3",
    "arbitrary(7)": "7",
    "array_agg(x ORDER BY x DESC)": "[3, 2, 1]",
    "cardinality(array_agg(x))": "3",
    "sum(x) FILTER (WHERE x < 3)": "3",
    "round(geometric_mean(x), 3)": "1.817",
    "avg(x)": "2.0",
    "transform(ARRAY[1, 2], y -> y * 2)": "[2, 4]",
    "MAP(ARRAY['a'], ARRAY[1])": "{a=1}",
    "TRY(CAST('x' AS integer))": "",
    "regexp_extract('abc12', '[0-9]+')": "12",
    "regexp_extract('abc12', '([a-z])([0-9])', 2)": "1",
    "regexp_extract('abc', '[0-9]+')": "",
    "regexp_like('abc', 'b')": "true",
    "split_part('a,b', ',', 2)": "b",
    "greatest(1, NULL)": "",
    "'a' || NULL": "",
    "json_extract_scalar('{\"a\": {\"b\": 1}}', '$.a.b')": "1",
    "to_utf8('hi')": "68 69",
    "1e7": "1.0E7",
    "123456789e0": "1.23456789E8",
    "0.00001e0": "1.0E-5",
}


@pytest.mark.parametrize(("expression", "expected"), CASES.items(), ids=CASES.keys())
def test_function(connection: duckdb.DuckDBPyConnection, tmp_path: Path, expression: str, expected: str) -> None:
    assert value(connection, expression, tmp_path / "v.csv") == (f'"{expected}"' if expected else "")


def test_sessions_of_events(connection: duckdb.DuckDBPyConnection) -> None:
    query = """
WITH events(user_id, moment) AS (
    VALUES ('a', timestamp '2020-01-01 00:00:00'), ('a', timestamp '2020-01-01 00:20:00'),
           ('a', timestamp '2020-01-01 02:00:00'), ('b', timestamp '2020-01-01 05:00:00')
), gaps AS (
    SELECT user_id, date_diff('second', lag(moment) OVER (PARTITION BY user_id ORDER BY moment), moment) AS gap
    FROM events
)
SELECT user_id, coalesce(sum(gap) FILTER (WHERE gap <= 1800), 0) AS spent,
       count_if(gap IS NULL OR gap > 1800) AS sessions
FROM gaps GROUP BY user_id ORDER BY user_id
"""
    assert connection.execute(sql.to_duckdb(sql.parse(query))).fetchall() == [("a", 1200, 2), ("b", 0, 1)]


def test_nameless_columns_are_numbered_by_position() -> None:
    tree = sql.parse('SELECT a, 1, upper(b), c AS d, count(*), "E f" FROM t')
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a, '' AS b, 2 AS c, 3 AS \"E f\"")
        grouped = sql.to_duckdb(tree) + " GROUP BY ALL"
        names = [column.name for column in results.columns_of(connection, grouped)]
    assert names == ["a", "_col1", "_col2", "d", "_col4", "E f"]


def test_tables_are_those_read_not_those_of_with() -> None:
    tree = sql.parse("WITH x AS (SELECT * FROM Events) SELECT * FROM x JOIN other.t ON x.a = t.a, AwsDataCatalog.db.u")
    assert sql.tables(tree, "own") == {("own", "events"), ("other", "t"), ("db", "u")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WITH t AS (SELECT * FROM t), u AS (SELECT * FROM t) SELECT * FROM u", {"t"}),
        ("WITH t AS (SELECT 1 AS n) SELECT * FROM (WITH t AS (SELECT * FROM t) SELECT * FROM t)", set()),
        ("SELECT * FROM (WITH t AS (SELECT 1 AS n) SELECT * FROM t), t", {"t"}),
        ("WITH t AS (SELECT * FROM u), u AS (SELECT 1 AS n) SELECT * FROM t", {"u"}),
        ("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t", set()),
    ],
    ids=["its own name", "the name further out", "beside it", "a later name", "recursive"],
)
def test_a_query_of_with_does_not_see_its_own_name(text: str, expected: set[str]) -> None:
    assert sql.tables(sql.parse(text), "own") == {("own", name) for name in expected}


def test_parameters_are_put_in_order() -> None:
    tree = sql.bind(sql.parse("SELECT ? || ?, ?"), ["'a''b'", "'?'", "-5"])
    with duckdb.connect() as connection:
        assert connection.execute(sql.to_duckdb(tree)).fetchall() == [("a'b?", -5)]


@pytest.mark.parametrize("parameters", [[], ["1"], ["1", "2", "3"]], ids=["none", "too few", "too many"])
def test_parameters_of_another_number_are_an_error(parameters: list[str]) -> None:
    with pytest.raises(QueryError, match=f"expected 2 but found {len(parameters)}"):
        sql.bind(sql.parse("SELECT ?, ?"), parameters)


@pytest.mark.parametrize(
    "text", ["DROP TABLE t", "MSCK REPAIR TABLE t", "UNLOAD (SELECT 1) TO 's3://b/k'", "CREATE TABLE t AS SELECT 1"]
)
def test_other_statements_are_not_supported(text: str) -> None:
    with pytest.raises(QueryError, match="NOT_SUPPORTED"):
        sql.to_duckdb(sql.parse(text))


@pytest.mark.parametrize("text", ["", "SELEC 1", "SELECT (1", "SELECT 1; SELECT 2", "SELECT 'open"])
def test_texts_that_are_not_statements_are_malformed(text: str) -> None:
    with pytest.raises(MalformedQueryError):
        sql.parse(text)
