"""The result file of a query, written as Athena writes it and read page by page.

Every value is in double quotes, and NULL is an empty field without quotes. DuckDB writes the file, so that rows do not
pass through Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from localaws.athena.glue_types import to_trino

_BLOCK = 256 * 1024
_FIELD = re.compile(rb'"((?:[^"]++|"")*+)"([,\n])|([,\n])')

ReadBlock = Callable[[int, int], bytes]
"""``read(start, length)`` returns up to `length` bytes from a position of a file."""


class Column(NamedTuple):
    """A column of a result: its name and its DuckDB type."""

    name: str
    type: str

    def describe(self) -> dict[str, Any]:
        """Return the column as in ResultSetMetadata.ColumnInfo."""
        trino = to_trino(self.type)
        numbers = {"integer": (10, 0), "bigint": (19, 0), "smallint": (5, 0), "tinyint": (3, 0), "double": (17, 0)}
        precision, scale = numbers.get(trino, (2147483647 if trino == "varchar" else 0, 0))
        if match := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", self.type):
            precision, scale = int(match.group(1)), int(match.group(2))
        return {
            "CatalogName": "hive",
            "SchemaName": "",
            "TableName": "",
            "Name": self.name,
            "Label": self.name,
            "Type": trino,
            "Precision": precision,
            "Scale": scale,
            "Nullable": "UNKNOWN",
            "CaseSensitive": trino == "varchar",
        }


def columns_of(connection: duckdb.DuckDBPyConnection, query: str) -> list[Column]:
    """Return the columns of a query without running it."""
    return [Column(row[0], row[1]) for row in connection.execute(f"DESCRIBE {query}").fetchall()]


def write(connection: duckdb.DuckDBPyConnection, query: str, columns: Sequence[Column], path: Path) -> int:
    """Run a query and write its rows to a file.

    Parameters
    ----------
    connection
        Connection that has the functions of `prepare`.
    query
        Query in DuckDB's SQL.
    columns
        Columns of the query, from `columns_of`.
    path
        The file to write.

    Returns
    -------
    int
        Number of rows, without the header.
    """
    header = ",".join(f'"{_double(column.name)}"' for column in columns) + "\n"
    names = [f"c{position}" for position in range(len(columns))]
    values = ", ".join(as_text(name, column.type) for name, column in zip(names, columns, strict=True))
    # The header is in PREFIX, since DuckDB would rename the second of two columns with the same name.
    count = connection.execute(
        f"COPY (SELECT {values} FROM ({query}) AS result({', '.join(names)})) TO {quote(str(path))} "
        "(FORMAT CSV, HEADER false, FORCE_QUOTE *, NULLSTR '', DELIMITER ',', QUOTE '\"', ESCAPE '\"', "
        f"PREFIX {quote(header)}, SUFFIX '\n')"
    ).fetchone()
    rows = int(count[0]) if count else 0
    if rows == 0:  # DuckDB writes the suffix, an empty line, after a header without rows
        path.write_text(header, encoding="utf-8")
    return rows


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the functions that `as_text` uses."""
    connection.create_function("athena_number", java_number, ["VARCHAR"], "VARCHAR")


def as_text(name: str, duckdb_type: str) -> str:
    """Return the SQL expression for the text of a column in a result file."""
    base = duckdb_type.partition("(")[0]
    if base in ("FLOAT", "DOUBLE"):
        plain = f"{name} = 0 OR (abs({name}) >= 0.001 AND abs({name}) < 10000000)"
        text = f"CAST({name} AS VARCHAR)"
        return f"CASE WHEN {name} IS NULL THEN NULL WHEN {plain} THEN {text} ELSE athena_number({text}) END"
    if base == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(timezone('UTC', {name}), '%Y-%m-%d %H:%M:%S.%g UTC')"
    if base.startswith("TIMESTAMP"):
        return f"strftime(CAST({name} AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%g')"
    if duckdb_type == "BLOB":
        return f"rtrim(regexp_replace(lower(hex({name})), '(..)', '\\1 ', 'g'))"
    if duckdb_type.endswith("[]") or base in ("MAP", "STRUCT"):
        # Nested values have no quotes inside, and the fields of a struct are written as name=value.
        return f"replace(replace(CAST({name} AS VARCHAR), '''', ''), ': ', '=')"
    return f"CAST({name} AS VARCHAR)"


def java_number(text: str) -> str:
    """Return a number as Java writes it: below 0.001 and from 10,000,000 in scientific notation.

    >>> java_number("123456789.0"), java_number("1e-05"), java_number("inf")
    ('1.23456789E8', '1.0E-5', 'Infinity')
    """
    if text.lstrip("-") in ("inf", "nan"):
        return text.replace("inf", "Infinity").replace("nan", "NaN").replace("-NaN", "NaN")
    sign, mantissa, shift = re.fullmatch(r"(-?)([\d.]+)(?:e([+-]?\d+))?", text).groups()  # type: ignore[union-attr]
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    exponent = len(whole) - 1 - (len(digits) - len(digits.lstrip("0"))) + int(shift or 0)
    significant = digits.strip("0") or "0"
    return f"{sign}{significant[0]}.{significant[1:] or '0'}E{exponent}"


def rows(read: ReadBlock, start: int) -> Iterator[tuple[list[str | None], int]]:
    """Yield the rows of a result file, including the header.

    Parameters
    ----------
    read
        Function that reads the file.
    start
        Position of the first row.

    Yields
    ------
    tuple
        The values of the row and the position after it.
    """
    buffer, position, offset = b"", start, 0
    values: list[str | None] = []
    while True:
        match = _FIELD.match(buffer, offset)
        if match is None:
            block = read(position + len(buffer), _BLOCK)
            if not block:
                return
            buffer, position, offset = buffer[offset:] + block, position + offset, 0
            continue
        quoted, end, empty = match.groups()
        values.append(None if quoted is None else quoted.replace(b'""', b'"').decode())
        offset = match.end()
        if (end or empty) == b"\n":
            yield values, position + offset
            values = []


def quote(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _double(text: str) -> str:
    return text.replace('"', '""')
