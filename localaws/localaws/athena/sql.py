"""Translates Athena's SQL to DuckDB's.

sqlglot translates the syntax and most functions. This module rewrites what sqlglot leaves unchanged, and what would
give other values without an error: ``date_diff`` counts complete units, dates stay dates, and ``regexp_extract``
returns NULL if nothing matches.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence

import duckdb
import sqlglot
from sqlglot import exp

from localaws.athena.errors import MalformedQueryError, QueryError, malformed

# sqlglot warns about statements that it cannot parse; they end in an error here anyway.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

MACROS = (
    "bitwise_left_shift(value, shift INTEGER) AS (value << shift)",
    "bitwise_right_shift(value, shift INTEGER) AS (value >> shift)",
    # DuckDB returns a timestamp for a date; Trino returns a date.
    "athena_date_trunc(unit, x DATE) AS CAST(date_trunc(unit, x) AS DATE), "
    "(unit, x TIMESTAMP) AS date_trunc(unit, x), (unit, x TIMESTAMPTZ) AS date_trunc(unit, x)",
    "athena_date_add(x DATE, step) AS CAST(x + step AS DATE), "
    "(x TIMESTAMP, step) AS x + step, (x TIMESTAMPTZ, step) AS x + step",
    # The local time as a timestamp without a time zone, so that hour() and date() are those of the zone.
    "athena_at_timezone(x TIMESTAMP, zone) AS timezone(zone, timezone('UTC', x)), "
    "(x TIMESTAMPTZ, zone) AS timezone(zone, x)",
    "with_timezone(x TIMESTAMP, zone VARCHAR) AS CAST(timezone(zone, x) AS TIMESTAMPTZ)",
    "athena_regexp_extract(x, pattern, part) AS "
    "CASE WHEN regexp_matches(x, pattern) THEN regexp_extract(x, pattern, part) END",
)
"""Functions that DuckDB lacks, or that return other values there. Each connection gets them.

Any other function that DuckDB lacks ends a query with FUNCTION_NOT_FOUND."""

PREAMBLE = (
    "SET TimeZone = 'UTC'",
    "SET integer_division = true",
    *(f"CREATE OR REPLACE MACRO {macro}" for macro in MACROS),
)
"""Statements that make a connection behave as Trino does."""


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make a connection behave as Trino does."""
    for statement in PREAMBLE:
        connection.execute(statement)
    connection.create_function("crc32", _crc32, ["BLOB"], "BIGINT")


def script(query: str) -> str:
    """Return a script for DuckDB that does the same as a query in Athena's SQL.

    ``crc32`` is missing in it: DuckDB has no such function, so the region adds one in Python.

    Raises
    ------
    MalformedQueryError, QueryError
        The text is not one query.
    """
    return ";\n".join([*PREAMBLE, to_duckdb(parse(query))]) + "\n"


def _crc32(data: bytes) -> int:
    return zlib.crc32(data)


def parse(text: str) -> exp.Expr:
    """Parse one statement of Athena's SQL.

    Raises
    ------
    MalformedQueryError
        The text is not exactly one statement.
    """
    try:
        statements = [tree for tree in sqlglot.parse(text, read="athena") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise malformed(error) from error
    if not statements:
        raise MalformedQueryError("line 1:1: mismatched input '<EOF>'. Expecting a statement")
    if len(statements) > 1:
        raise MalformedQueryError(f"Only one sql statement is allowed. Got: {text}")
    return statements[0]


def bind(tree: exp.Expr, parameters: Sequence[str]) -> exp.Expr:
    """Return a statement with ExecutionParameters in place of its question marks.

    Parameters
    ----------
    tree
        Statement, which is not changed.
    parameters
        SQL literals, in the order of the question marks.

    Raises
    ------
    QueryError
        There are more or fewer parameters than question marks.
    """
    bound = tree.copy()
    marks = list(bound.find_all(exp.Placeholder, bfs=False))
    if len(marks) != len(parameters):
        raise QueryError(
            "INVALID_PARAMETER_USAGE",
            f"line 1:1: Incorrect number of parameters: expected {len(marks)} but found {len(parameters)}",
        )
    for mark, literal in zip(marks, parameters, strict=True):
        mark.replace(exp.paren(sqlglot.parse_one(literal, read="athena")))
    return bound


def tables(tree: exp.Expr, database: str) -> set[tuple[str, str]]:
    """Return the tables that a statement reads, as (database, table) in lower case, without names of WITH."""
    found = set()
    for table in tree.find_all(exp.Table):
        name = table.name.lower()
        if name and (table.db or name not in _common(table)) and table.db.lower() != "information_schema":
            found.add((table.db.lower() or database, name))
    return found


def _common(table: exp.Expr) -> set[str]:
    """Return the names that WITH clauses give to queries where a table is named: a query does not see its own name.

    So ``WITH events AS (SELECT * FROM events)`` reads the table.
    """
    names: set[str] = set()
    inside, around = table, table.parent
    while around is not None:
        clause = around if isinstance(around, exp.With) else around.args.get("with_")
        if clause is not None and clause is not inside:
            for query in clause.expressions:
                if query is inside and not clause.recursive:
                    break
                names.add(query.alias.lower())
        inside, around = around, around.parent
    return names


def to_duckdb(tree: exp.Expr) -> str:
    """Return the DuckDB SQL of a query whose parameters are bound.

    Raises
    ------
    QueryError
        The statement is not a query.
    """
    if not isinstance(tree, exp.Query | exp.Values):
        raise QueryError(
            "NOT_SUPPORTED",
            "The local region runs queries (SELECT, WITH, VALUES). Create and change tables and partitions with "
            "CloudFormation or Glue's API.",
        )
    named = _name_columns(tree.copy())
    for table in named.find_all(exp.Table):
        table.set("catalog", None)
    return _rewritten(named).sql(dialect="duckdb")


def _name_columns(tree: exp.Expr) -> exp.Expr:
    """Name unnamed columns of the result ``_col0``, ``_col1``... as Athena does."""
    if not isinstance(tree, exp.Query):
        return tree
    for position, column in enumerate(tree.selects):
        if not column.is_star and not isinstance(column, exp.Column | exp.Dot) and not column.alias:
            column.replace(exp.alias_(column.copy(), f"_col{position}", quoted=True))
    return tree


def _rewritten(tree: exp.Expr) -> exp.Expr:
    """Rewrite every node, children first: ``transform`` does not look into what it has replaced."""
    for node in reversed(list(tree.walk())):
        new = _rewrite(node)
        if new is not node and node is not tree:
            node.replace(new)
        elif new is not node:
            tree = new
    return tree


def _rewrite(node: exp.Expr) -> exp.Expr:
    match node:
        case exp.DateDiff():
            # DuckDB's date_diff counts boundaries: from 00:59 to 01:01 is one hour.
            # Anonymous, since the date_sub of sqlglot takes an interval.
            return exp.Anonymous(this="date_sub", expressions=[_unit(node), node.expression, node.this])
        case exp.DateAdd():
            return exp.func("athena_date_add", node.this, exp.Interval(this=exp.paren(node.expression), unit=node.unit))
        case exp.Add() if isinstance(node.expression, exp.Interval):
            return exp.func("athena_date_add", node.this, node.expression)
        case exp.Sub() if isinstance(node.expression, exp.Interval):
            return exp.func("athena_date_add", node.this, exp.Neg(this=node.expression))
        case exp.DateTrunc() | exp.TimestampTrunc():
            return exp.func("athena_date_trunc", _unit(node), node.this)
        case exp.AtTimeZone():
            return exp.func("athena_at_timezone", node.this, node.args["zone"])
        case exp.RegexpExtract():
            group = node.args.get("group") or exp.Literal.number(0)
            return exp.func("athena_regexp_extract", node.this, node.expression, group)
        case exp.Extract() if node.name.upper() in ("DOW", "DAY_OF_WEEK", "DAYOFWEEK"):
            return exp.Extract(this=exp.var("ISODOW"), expression=node.expression)
        case exp.Extract() if node.name.upper() == "DAY_OF_YEAR":
            return exp.Extract(this=exp.var("DOY"), expression=node.expression)
        case exp.Anonymous() if node.name.lower() == "at_timezone":
            return exp.func("athena_at_timezone", *node.expressions)
        case exp.Anonymous() if node.name.lower() == "millisecond":  # DuckDB's result includes the seconds
            (instant,) = node.expressions
            return exp.Mod(this=exp.func("date_part", exp.Literal.string("millisecond"), instant), expression="1000")
    return node


def _unit(node: exp.Expr) -> exp.Expr:
    unit = node.args.get("unit")
    return exp.Literal.string(unit.name.lower() if unit is not None else "day")
