"""Errors of queries as Athena reports them, from those of DuckDB and sqlglot."""

from __future__ import annotations

import re

import duckdb
import sqlglot.errors

SYSTEM, USER = 1, 2
"""Values of AthenaError.ErrorCategory."""


class QueryError(Exception):
    """A query failed.

    Attributes
    ----------
    name
        Name of the error in Trino, such as ``COLUMN_NOT_FOUND``.
    reason
        StateChangeReason of Athena: the name, the position in the query and the cause.
    category, type
        AthenaError.ErrorCategory and ErrorType, from "Athena error catalog" in the user guide. Type 200 is an error of
        the engine, 1000 of the query, 1001 of the data.
    """

    def __init__(self, name: str, message: str, category: int = USER) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.reason = f"{name}: {message}"
        self.category = category
        self.type = 200 if category == SYSTEM else 1001 if name.startswith("HIVE_") else 1000


class MalformedQueryError(Exception):
    """The text is not one SQL statement. Athena refuses it with InvalidRequestException."""


def malformed(error: sqlglot.errors.SqlglotError) -> MalformedQueryError:
    """Return Athena's error for an error of the parser."""
    details = getattr(error, "errors", None)
    if not details:
        return MalformedQueryError(f"line 1:1: {error}")
    first = details[0]
    return MalformedQueryError(
        f"line {first['line']}:{first['col']}: mismatched input '{first['highlight']}'. {first['description']}"
    )


_RULES: tuple[tuple[str, str, str], ...] = (
    (r'Referenced column "([^"]+)" (?:not found|was not found)', "COLUMN_NOT_FOUND", "Column '{0}' cannot be resolved"),
    (r'does not have a column named "([^"]+)"', "COLUMN_NOT_FOUND", "Column '{0}' cannot be resolved"),
    (r'Referenced table "([^"]+)" not found', "TABLE_NOT_FOUND", "Table '{0}' does not exist"),
    (r"Table with name (\S+) does not exist", "TABLE_NOT_FOUND", "Table '{0}' does not exist"),
    (r"Function with name (\S+) does not exist", "FUNCTION_NOT_FOUND", "Function '{0}' not registered"),
    (r"function call \"([^\"(]+)\(", "TYPE_MISMATCH", "Unexpected parameters for function {0}"),
    (r"Macro (\w+)\(\) does not support", "FUNCTION_NOT_FOUND", "Unexpected parameters for function {0}"),
    (r"given name and argument types '(.+?)'\.", "FUNCTION_NOT_FOUND", "Unexpected parameters {0}"),
    (r"column \"([^\"]+)\" must appear in the GROUP BY", "EXPRESSION_NOT_AGGREGATE",
     "'{0}' must be an aggregate expression or appear in GROUP BY clause"),
    (r"Ambiguous reference to column name \"([^\"]+)\"", "AMBIGUOUS_NAME", "Column '{0}' is ambiguous"),
)  # fmt: skip


def classify(error: Exception, query: str) -> QueryError:
    """Return Athena's error for an exception that ended a query.

    Parameters
    ----------
    error
        Exception that was raised while the query was translated or run.
    query
        Text of the query, to which positions refer.
    """
    if isinstance(error, QueryError):
        return error
    text = str(error).partition("\n\n")[0].strip()
    for pattern, name, message in _RULES:
        if match := re.search(pattern, text):
            return QueryError(name, f"{position(query, match.group(1))}: {message.format(match.group(1))}")
    headline = text.partition("\n")[0].partition(": ")[2] or text
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryError("EXCEEDED_LOCAL_MEMORY_LIMIT", headline, SYSTEM)
    if isinstance(error, duckdb.ConversionException):
        return QueryError("INVALID_CAST_ARGUMENT", headline)
    if isinstance(error, duckdb.OutOfRangeException):
        return QueryError("NUMERIC_VALUE_OUT_OF_RANGE", headline)
    if isinstance(error, duckdb.BinderException | duckdb.ParserException | duckdb.CatalogException):
        return QueryError("SYNTAX_ERROR", f"line 1:1: {headline}")
    if isinstance(error, duckdb.InvalidInputException):
        return QueryError("INVALID_FUNCTION_ARGUMENT", headline)
    return QueryError("GENERIC_INTERNAL_ERROR", headline, SYSTEM)


def position(query: str, name: str) -> str:
    """Return ``line L:C`` of a name's first occurrence in a query, or 1:1 if there is none."""
    match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", query, re.IGNORECASE)
    before = query[: match.start()] if match else ""
    return f"line {before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
