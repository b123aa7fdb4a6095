"""The result file of a query: what is written is read back."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaws.athena import results
from localaws.athena.glue_types import is_readable, to_duckdb, to_trino

TEXT = st.one_of(st.none(), st.text(alphabet=st.sampled_from('ab",\n\r ä'), max_size=6))
TABLE = st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), max_size=8))


def reader(content: bytes, block: int) -> Callable[[int, int], bytes]:
    return lambda start, length: content[start : start + min(length, block)]


def plain_writer(rows: list[list[str | None]]) -> bytes:
    """Write rows with plain Python, as the oracle for DuckDB."""
    fields = (",".join("" if text is None else '"' + text.replace('"', '""') + '"' for text in row) for row in rows)
    return "".join(line + "\n" for line in fields).encode()


@given(TABLE, st.integers(1, 9))
def test_rows_come_back_whatever_the_block_size(table: list[list[str | None]], block: int) -> None:
    assert [row for row, _ in results.rows(reader(plain_writer(table), block), 0)] == table


@given(TABLE.filter(bool))
def test_reading_goes_on_where_it_stopped(table: list[list[str | None]]) -> None:
    content = plain_writer(table)
    _, behind = next(results.rows(reader(content, 1000), 0))
    assert [row for row, _ in results.rows(reader(content, 1000), behind)] == table[1:]


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_file_equals_that_of_a_plain_writer(tmp_path: Path, count: int) -> None:
    query = f"""
SELECT range AS n,
       CASE WHEN range % 3 = 0 THEN NULL WHEN range % 3 = 1 THEN '' ELSE 'a "b",\n' || range END AS "the ""name"
FROM range({count})
"""
    path = tmp_path / "result.csv"
    with duckdb.connect(config={"threads": 2}) as connection:
        results.prepare(connection)
        columns = results.columns_of(connection, query)
        assert results.write(connection, query, columns, path) == count
    rows = [["n", 'the "name']]
    rows += [[str(n), (None, "", f'a "b",\n{n}')[n % 3]] for n in range(count)]  # type: ignore[list-item]
    assert path.read_bytes() == plain_writer(rows)  # type: ignore[arg-type]
    with path.open(newline="") as file:
        assert len(list(csv.reader(file))) == count + 1


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1e7, "1.0E7"),
        (-1.5e-9, "-1.5E-9"),
        (123456789.125, "1.23456789125E8"),
        (1e300, "1.0E300"),
        (2e22, "2.0E22"),
        (0.00012, "1.2E-4"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
    ],
)
def test_numbers_are_written_as_java_does(number: float, expected: str) -> None:
    with duckdb.connect() as connection:
        text = connection.execute("SELECT CAST(?::DOUBLE AS VARCHAR)", [number]).fetchall()[0][0]
    assert results.java_number(text) == expected


@given(st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x != 0))
def test_a_number_in_javas_writing_is_the_same_number(number: float) -> None:
    assert float(results.java_number(repr(number))) == number


@pytest.mark.parametrize(
    ("glue", "duck"),
    [
        ("string", "VARCHAR"),
        ("varchar(10)", "VARCHAR"),
        ("BIGINT", "BIGINT"),
        ("decimal(10,2)", "DECIMAL(10,2)"),
        ("decimal", "DECIMAL(10,0)"),
        ("array<int>", "INTEGER[]"),
        ("map<string,array<double>>", "MAP(VARCHAR, DOUBLE[])"),
        ("struct<a:int,b:struct<c:date,d:string>>", 'STRUCT("a" INTEGER, "b" STRUCT("c" DATE, "d" VARCHAR))'),
    ],
)  # fmt: skip
def test_glue_types(glue: str, duck: str) -> None:
    assert to_duckdb(glue) == duck
    with duckdb.connect() as connection:
        connection.execute(f"SELECT CAST(NULL AS {duck})")


@pytest.mark.parametrize("text", ["text", "array<>", "array<int", "map<int>", "struct<a>", "decimal(x)", ""])
def test_unknown_glue_types(text: str) -> None:
    with pytest.raises(ValueError, match="Unknown column type"):
        to_duckdb(text)


@pytest.mark.parametrize(
    ("duck", "trino"),
    [("VARCHAR", "varchar"), ("HUGEINT", "bigint"), ("INTEGER[]", "array"), ("STRUCT(a INTEGER)", "row"),
     ("MAP(INTEGER, INTEGER)", "map"), ("DECIMAL(5,2)", "decimal"), ("TIMESTAMP_S", "timestamp"),
     ("TIMESTAMP WITH TIME ZONE", "timestamp with time zone"), ("FLOAT", "real")],
)  # fmt: skip
def test_trino_types(duck: str, trino: str) -> None:
    assert to_trino(duck) == trino


@pytest.mark.parametrize(
    ("in_file", "in_table", "readable"),
    [("INTEGER", "BIGINT", True), ("BIGINT", "INTEGER", False), ("INTEGER", "TINYINT", True),
     ("VARCHAR", "INTEGER", False), ("BLOB", "VARCHAR", True), ("TIMESTAMP_NS", "TIMESTAMP", True),
     ("DOUBLE", "FLOAT", False), ("DATE", "TIMESTAMP", False), ("INTEGER[]", "INTEGER[]", True)],
)  # fmt: skip
def test_only_wider_types_are_read(in_file: str, in_table: str, readable: bool) -> None:
    assert is_readable(in_file, in_table) is readable
