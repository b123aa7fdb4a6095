"""UNLOAD, which writes the rows of a query as Parquet files under an S3 prefix.

Syntax, limits and defaults are from the Athena User Guide, "UNLOAD":
https://docs.aws.amazon.com/athena/latest/ug/unload.html
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import sqlglot
from sqlglot.tokenizer_core import Token, TokenType

from localaws.athena.errors import MalformedQueryError, QueryError, malformed
from localaws.athena.results import Column, quote

PARTITION_LIMIT = 100
"""One UNLOAD may write at most this many partitions."""

DEFAULT_COMPRESSION = "GZIP"

_PROPERTIES = {"format", "compression", "partitioned_by"}
_CODECS = {"GZIP": "gzip", "SNAPPY": "snappy", "ZSTD": "zstd", "LZ4": "lz4_raw", "NONE": "uncompressed"}


@dataclass(frozen=True)
class Unload:
    """An UNLOAD statement.

    Attributes
    ----------
    query
        Text of the query inside.
    destination
        S3 URI of the prefix, which must have no objects.
    partitioned_by
        Names of the last columns of the query, which become ``name=value/`` in the keys.
    compression
        Compression as in the statement, in upper case.
    """

    query: str
    destination: str
    partitioned_by: tuple[str, ...]
    compression: str


def parse(text: str) -> Unload | None:
    """Parse an UNLOAD statement. Return None if the text is another statement.

    sqlglot has no syntax tree for UNLOAD, so this function reads its tokens.

    Raises
    ------
    MalformedQueryError
        The text begins with UNLOAD but is not valid.
    """
    try:
        tokens = sqlglot.tokenize(text, read="trino")
    except sqlglot.errors.SqlglotError as error:
        raise malformed(error) from error
    if not tokens or tokens[0].text.upper() != "UNLOAD":
        return None
    end = _closing(tokens, 1)
    to, rest = tokens[end + 1 : end + 3], tokens[end + 3 :]
    if len(to) < 2 or to[0].text.upper() != "TO" or to[1].token_type is not TokenType.STRING:
        raise _mismatch(to[0] if to else tokens[end], "UNLOAD (query) TO 's3://...' WITH (...)")
    properties = _properties(rest)
    return Unload(
        query=text[tokens[1].end + 1 : tokens[end].start],
        destination=to[1].text.rstrip("/") + "/",
        partitioned_by=tuple(properties.get("partitioned_by", [])),
        compression=_first(properties, "compression", DEFAULT_COMPRESSION),
    )


def write(
    connection: duckdb.DuckDBPyConnection, query: str, columns: Sequence[Column], unload: Unload, folder: Path
) -> dict[str, Path]:
    """Run a query and write its rows to a local folder.

    Parameters
    ----------
    query
        Query in DuckDB's SQL.
    columns
        Columns of the query.
    folder
        Folder to create.

    Returns
    -------
    dict
        Files by their future S3 URI. As on AWS their names are random and have no extension.

    Raises
    ------
    QueryError
        The partition columns are not the last ones, or have too many values.
    """
    names = [column.name for column in columns]
    keys = list(unload.partitioned_by)
    if keys and names[-len(keys) :] != keys:
        raise QueryError(
            "HIVE_COLUMN_ORDER_MISMATCH",
            "Partition keys must be the last columns in the table and in the same order as the table properties: "
            f"[{', '.join(keys)}]",
        )
    values = ", ".join(
        f"CAST({_name(column.name)} AS {_stored(column.type)}) AS {_name(column.name)}" for column in columns
    )
    layout = f"PARTITION_BY ({', '.join(map(_name, keys))})" if keys else "PER_THREAD_OUTPUT true"
    folder.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(
        f"COPY (SELECT {values} FROM ({query})) TO {quote(str(folder))} "
        f"(FORMAT parquet, COMPRESSION {_CODECS[unload.compression]}, {layout})"
    )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if len({path.parent for path in files}) > PARTITION_LIMIT:
        raise QueryError(
            "HIVE_TOO_MANY_OPEN_PARTITIONS", f"Exceeded limit of {PARTITION_LIMIT} open writers for partitions/buckets"
        )
    return {f"{unload.destination}{_key(path.parent.relative_to(folder))}{uuid.uuid4()}": path for path in files}


def _closing(tokens: Sequence[Token], start: int) -> int:
    """Return the index of the parenthesis that closes the one at `start`."""
    depth = 0
    for position in range(start, len(tokens)):
        depth += (tokens[position].token_type is TokenType.L_PAREN) - (tokens[position].token_type is TokenType.R_PAREN)
        if depth == 0 and position > start:
            return position
        if depth == 0:
            break
    raise _mismatch(tokens[min(start, len(tokens) - 1)], "a query in parentheses")


def _properties(tokens: Sequence[Token]) -> dict[str, list[str]]:
    """Parse ``WITH (name = 'text', name = ARRAY['text', ...])``."""
    if len(tokens) < 2 or tokens[0].token_type is not TokenType.WITH or _closing(tokens, 1) != len(tokens) - 1:
        raise MalformedQueryError(
            "line 1:1: mismatched input. Expecting: UNLOAD (query) TO 's3://...' WITH (format = ...)"
        )
    properties: dict[str, list[str]] = {}
    for before, token in pairwise(tokens[1:]):
        if token.token_type is TokenType.EQ:
            values = properties.setdefault(before.text.lower(), [])
        elif token.token_type is TokenType.STRING and properties:
            values.append(token.text)
    if unknown := sorted(properties.keys() - _PROPERTIES):
        raise MalformedQueryError(f"line 1:1: The local region does not support the UNLOAD property {unknown[0]}.")
    if _first(properties, "format", "") != "PARQUET":
        raise MalformedQueryError("line 1:1: The local region unloads PARQUET only. Write format = 'PARQUET'.")
    if (codec := _first(properties, "compression", DEFAULT_COMPRESSION)) not in _CODECS:
        raise MalformedQueryError(f"line 1:1: Unsupported compression {codec}. Use one of {', '.join(_CODECS)}.")
    return properties


def _first(properties: Mapping[str, list[str]], name: str, default: str) -> str:
    return next(iter(properties.get(name, [])), default).upper()


def _stored(duckdb_type: str) -> str:
    """Return the type to store. Sums are wider in DuckDB than in Trino, and Parquet has no 128-bit integers."""
    return re.sub(r"\bU?(HUGEINT|BIGINT)\b", "BIGINT", duckdb_type)


def _key(folder: Path) -> str:
    return "" if folder == Path() else f"{folder.as_posix()}/"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _mismatch(token: Token, expected: str) -> MalformedQueryError:
    return MalformedQueryError(f"line {token.line}:{token.col}: mismatched input '{token.text}'. Expecting: {expected}")
