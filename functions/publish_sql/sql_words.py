"""Literals, names and texts in Athena's SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from functions.publish_sql.mapping import Refused

TEXTS: Final = ("string", "varchar", "char")
INTEGERS: Final = ("tinyint", "smallint", "int", "integer", "bigint")
FRACTIONS: Final = ("float", "real", "double", "decimal")


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def column(name: str) -> str:
    """Return the SQL of a column of the table ``t``; dots reach into nested columns."""
    return ".".join(("t", *map(quoted, name.split("."))))


def as_text(name: str, kind: str, field: str, *, fractions: bool) -> str:
    """Return the SQL of a column as text; NULL where it is empty.

    Raises
    ------
    Refused
        Its type cannot be a text.
    """
    at = column(name)
    if kind in TEXTS:
        return f"nullif(CAST({at} AS varchar), '')" if kind == "char" else f"nullif({at}, '')"
    if kind in INTEGERS:
        return f"CAST({at} AS varchar)"
    if kind in FRACTIONS and fractions:
        # As a text a double would be 1.7E9.
        return f"CAST(CAST({at} AS decimal(38, 6)) AS varchar)"
    raise Refused(
        f"Column {name} cannot be {field}.",
        f"It has the type {kind}.",
        f"It must be text or a whole number. Choose another: --columns {field}=...",
    )


def text_of(names: Sequence[str], types: Mapping[str, str], field: str) -> str:
    """Return the SQL of a field as text: that of the first column that is not empty."""
    texts = [as_text(name, types[name], field, fractions=field != "user_id") for name in names]
    return first_of(texts) if texts else "CAST(NULL AS varchar)"


def first_of(values: Sequence[str]) -> str:
    """Return the SQL of the first value that is not NULL."""
    return f"coalesce({', '.join(values)})" if len(values) > 1 else values[0]
