"""Column types of Glue, DuckDB and Trino."""

from __future__ import annotations

import re

_SIMPLE = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "smallint": "SMALLINT",
    "tinyint": "TINYINT",
    "boolean": "BOOLEAN",
    "float": "FLOAT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "binary": "BLOB",
    "varbinary": "BLOB",
    "char": "VARCHAR",
    "varchar": "VARCHAR",
}

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT"}
_TIMESTAMPS = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"}
_READABLE_AS = {
    "TINYINT": _INTEGERS,
    "SMALLINT": _INTEGERS,
    "INTEGER": _INTEGERS,
    "BIGINT": _INTEGERS | {"BIGINT", "UINTEGER"},
    "DOUBLE": {"FLOAT", "DOUBLE"},
    "VARCHAR": {"VARCHAR", "BLOB"},
    "BLOB": {"VARCHAR", "BLOB"},
    "TIMESTAMP": _TIMESTAMPS,
}
_TRINO = {
    "VARCHAR": "varchar",
    "FLOAT": "real",
    "BLOB": "varbinary",
    "TIMESTAMP": "timestamp(3)",
    "TIMESTAMP WITH TIME ZONE": "timestamp(3) with time zone",
    "HUGEINT": "bigint",
    "UBIGINT": "bigint",
}


def to_duckdb(glue_type: str) -> str:
    """Return the DuckDB type of a Glue (Hive) type.

    Parameters
    ----------
    glue_type
        For example ``bigint``, ``decimal(10,2)``, ``array<struct<a:int,b:string>>``.

    Raises
    ------
    ValueError
        The type is unknown.
    """
    text = glue_type.strip().lower()
    if match := re.fullmatch(r"(array|map|struct|row|uniontype)\s*<(.*)>", text, re.DOTALL):
        kind, inner = match.groups()
        parts = _split(inner)
        if kind == "array" and len(parts) == 1:
            return f"{to_duckdb(parts[0])}[]"
        if kind == "map" and len(parts) == 2:
            return f"MAP({to_duckdb(parts[0])}, {to_duckdb(parts[1])})"
        if kind == "struct" and all(":" in part for part in parts):
            fields = (part.split(":", 1) for part in parts)
            return "STRUCT(" + ", ".join(f'"{name.strip()}" {to_duckdb(of)}' for name, of in fields) + ")"
    elif match := re.fullmatch(r"decimal(?:\((\d+)(?:,\s*(\d+))?\))?", text):
        return f"DECIMAL({match.group(1) or 10},{match.group(2) or 0})"
    elif (simple := _SIMPLE.get(re.sub(r"\(\d+\)\Z", "", text))) is not None:
        return simple
    raise ValueError(f"Unknown column type {glue_type!r}.")


def to_trino(duckdb_type: str) -> str:
    """Return the name that GetQueryResults has for a DuckDB type."""
    base = duckdb_type.partition("(")[0]
    if duckdb_type.endswith("[]"):
        return "array"
    if base in ("MAP", "STRUCT"):
        return {"MAP": "map", "STRUCT": "row"}[base]
    if base.startswith("TIMESTAMP_"):
        return "timestamp"
    return _TRINO.get(duckdb_type, base.lower()).replace("timestamp(3)", "timestamp")


def is_readable(file_type: str, table_type: str) -> bool:
    """Return whether a Parquet column of one DuckDB type may be read as a table column of another.

    A narrower number may be read as a wider one. Other differences are an error, as on Athena.
    """
    if "(" in table_type or table_type.endswith("[]"):  # for nested types and decimals the cast decides
        return file_type.partition("(")[0] == table_type.partition("(")[0] or file_type.endswith("[]")
    return file_type == table_type or file_type in _READABLE_AS.get(table_type, set())


def _split(text: str) -> list[str]:
    """Split a text at the commas outside all brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "<(") - (character in ">)")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
