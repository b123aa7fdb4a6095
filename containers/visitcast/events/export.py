"""An export on its way to the events table: its columns, its database, and how rows of it are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb

from visitcast.errors import InputError
from visitcast.events.mapping import EventsMapping
from visitcast.events.source import NUMBERS, TIMES, Source

_ROWS_SHOWN: Final = 5
_VALUE_LENGTH_SHOWN: Final = 40


@dataclass(frozen=True)
class Export:
    """An export, and the tables that are made of it step by step.

    Attributes
    ----------
    connection : DuckDBPyConnection
        Database of the tables.
    path : Path
        File or folder.
    source : Source
        What DuckDB reads.
    mapping : EventsMapping
        How it is read.
    columns : dict of str to tuple of str
        The source's columns of each field; empty where it has none.
    notes : list of str
        What was found out and decided while reading, for people.
    """

    connection: duckdb.DuckDBPyConnection
    path: Path
    source: Source
    mapping: EventsMapping
    columns: dict[str, tuple[str, ...]]
    notes: list[str] = field(default_factory=list)

    def name(self, field: str) -> str:
        """Name a field's columns."""
        return "|".join(self.columns[field])

    def is_number(self, field: str) -> bool:
        """Return whether a field is one column of numbers, which needs no parsing."""
        return [self.source.types[column].partition("(")[0] in NUMBERS for column in self.columns[field]] == [True]

    def is_timestamp(self, field: str) -> bool:
        """Return whether a field is one column of times, which needs no parsing."""
        return [self.source.types[column] in TIMES for column in self.columns[field]] == [True]

    def one(self, query: str) -> Any:
        """Return the one value of a query."""
        rows: list[tuple[Any, ...]] = self.connection.execute(query).fetchall()
        return rows[0][0]

    def shown(self, table: str, condition: str, value: str) -> str:
        """List the first rows for which a condition holds."""
        rows = self.connection.execute(
            f"SELECT row, ({value})::VARCHAR FROM {table} WHERE {condition} ORDER BY row LIMIT {_ROWS_SHOWN}"
        ).fetchall()
        return "; ".join(f"row {row}: {_short(text)}" for row, text in rows)

    def refuse(self, table: str, condition: str, value: str, rule: str, remedy: str, counted: str = "") -> None:
        """Raise if a condition holds for any row; rows are counted from 1, without the header.

        `counted` is a table that has the columns of the condition already, where `table` is a view that computes them.
        """
        count = self.one(f"SELECT count(*) FROM {counted or table} WHERE {condition}")
        if not count:
            return
        total = self.one(f"SELECT count(*) FROM {counted or table}")
        verb = "is" if count == 1 else "are"
        raise InputError(
            f"The events cannot be used: {rule}.",
            f"{count:,} of {total:,} rows {verb} wrong: {self.shown(table, condition, value)}.",
            remedy,
        )


def _short(text: str | None) -> str:
    if text is None:
        return "empty"
    return repr(text if len(text) <= _VALUE_LENGTH_SHOWN else text[:_VALUE_LENGTH_SHOWN] + "…")
