"""Open an export with DuckDB, whatever its format: CSV, TSV, JSON Lines, JSON, Parquet, packed or not, or a folder."""

from __future__ import annotations

import bz2
import re
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Final

import duckdb

from visitcast.errors import InputError
from visitcast.events.mapping import MAPPING_FILE
from visitcast.events.unreadable import KNOWN, header_of, unreadable

_KINDS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PACKED: Final = (".gz", ".bz2", ".zip")
_NOT_READ: Final = {
    b"ARROW1": "It is a Feather (Arrow) file.",
    b"FEA1": "It is a Feather (Arrow) file.",
    b"\xff\xff\xff\xff": "It is a stream of Arrow.",
    b"PK\x03\x04": "It is a spreadsheet or another archive.",
    b"\x28\xb5\x2f\xfd": "It is packed with Zstandard.",
}
"""Kinds of files, by their first bytes, that pandas or a spreadsheet can save as CSV or Parquet."""
_ROWS_LOOKED_AT: Final = 1000
NUMBERS: Final = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    *("UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL"),
)
TIMES: Final = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
"""DuckDB's types of times in microseconds; others go by their text."""


@dataclass(frozen=True)
class Source:
    """An export that DuckDB can read.

    Attributes
    ----------
    relation : str
        SQL of a table function that reads it.
    columns : mapping
        From each column's name, nested ones with dots, to its SQL expression.
    types : mapping
        From the same names to DuckDB's type.
    columns_by_file : mapping
        Of a folder of CSV or Parquet, from each file to its columns; empty otherwise.
    """

    relation: str
    columns: Mapping[str, str]
    types: Mapping[str, str]
    columns_by_file: Mapping[Path, frozenset[str]] = field(default_factory=dict)


def open_source(connection: duckdb.DuckDBPyConnection, path: Path, scratch: Path) -> Source:
    """Find out how to read an export.

    Parameters
    ----------
    connection : DuckDBPyConnection
    path : Path
        File or folder.
    scratch : Path
        Folder for files that have to be unpacked (bz2 and zip, which DuckDB does not read).

    Raises
    ------
    InputError
        There is nothing to read, or it cannot be read.
    """
    files = [
        part
        for number, file in enumerate(_files(path))
        for part in (_unzipped(file, scratch / f"zip-{number}") if file.suffix.lower() == ".zip" else [file])
    ]
    if not files:
        raise InputError(f"{path} contains no events.", "The archive has no files.", KNOWN)
    kinds = {_kind(file) for file in files}
    if len(kinds) > 1:
        raise InputError(f"{path} holds files of several kinds.", f"They are {', '.join(sorted(kinds))}.", KNOWN)
    (kind,) = kinds
    unpacked = [_unpacked(file, scratch / f"{number}") for number, file in enumerate(files)]
    names = "[" + ", ".join(literal(_without_wildcards(file)) for file in unpacked) + "]"
    packed = all(file.suffix.lower() == ".gz" for file in unpacked)
    compression = ", compression='gzip'" if packed and kind != "parquet" else ""
    try:
        if kind == "json":
            return _json(connection, f"read_json_objects({names}, format='auto'{compression})")
        if kind == "parquet":
            table = _table(connection, f"read_parquet({names}, union_by_name=true, hive_partitioning=false)")
        else:
            encoding = ", encoding='utf-16'" if _utf16(unpacked[0]) else ""
            options = "header=true, skip=0, all_varchar=true, union_by_name=true, hive_partitioning=false, quote='\"'"
            options += ", nullstr=''"
            table = _table(connection, f"read_csv({names}, {options}{encoding}{compression})")
        # Files of an archive are unpacked one for one.
        named = dict(zip(unpacked, files, strict=True)) if len(files) > 1 else {}
        found = {named[file]: columns_of_file(connection, file, kind) for file in named}
        return replace(table, columns_by_file=found)
    except duckdb.Error as error:
        raise unreadable(path, error) from error


def columns_of_file(connection: duckdb.DuckDBPyConnection, file: Path, kind: str) -> frozenset[str]:
    """Return the columns of one file of a folder, CSV or Parquet, in lower case as DuckDB unites them."""
    if kind == "csv":
        return frozenset(name.lower() for name in header_of(file))
    rows = connection.execute("SELECT name FROM parquet_schema(?)", [_without_wildcards(file)]).fetchall()
    return frozenset(name.lower() for (name,) in rows[1:])  # the first is the row as a whole


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"There is no file {path}.", "Neither a file nor a folder has this name.", "Check the path.")
    found = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and file.name != MAPPING_FILE and not _hidden(file.relative_to(path))
    )
    if not found:
        raise InputError(f"{path} contains no events.", "The folder has no files.", KNOWN)
    return found


def _kind(file: Path) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    start = _start(file)
    if not start:
        raise InputError(f"{file} cannot be read.", "It is empty.", KNOWN)
    for signature, kind in _NOT_READ.items():
        if start.startswith(signature):
            raise InputError(f"{file} cannot be read.", kind, KNOWN)
    if suffixes and suffixes[-1] in _KINDS:
        return _KINDS[suffixes[-1]]
    if start[:4] == b"PAR1":
        return "parquet"
    return "json" if start.lstrip()[:1] in (b"{", b"[") else "csv"


def _start(file: Path) -> bytes:
    with file.open("rb") as content:
        return content.read(16)


def _utf16(file: Path) -> bool:
    return _start(file)[:2] in (b"\xff\xfe", b"\xfe\xff")


def _without_wildcards(file: Path) -> str:
    """Write a path so that DuckDB does not take its ``*``, ``?`` or ``[`` as wildcards."""
    return re.sub(r"[*?\[]", lambda found: f"[{found[0]}]", f"{file}")


def _unzipped(file: Path, folder: Path) -> list[Path]:
    """Unpack the files of an archive; those that macOS adds and other hidden ones are left out."""
    folder.mkdir(parents=True)
    made = []
    try:
        with zipfile.ZipFile(file) as archive:
            for number, member in enumerate(archive.infolist()):
                name = PurePosixPath(member.filename)
                if member.is_dir() or _hidden(name):
                    continue
                made.append(folder / f"{number}-{name.name[-100:]}")
                with archive.open(member) as content, made[-1].open("wb") as output:
                    shutil.copyfileobj(content, output)
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise unreadable(file, error) from error
    return made


def _hidden(path: PurePath) -> bool:
    return any(part.startswith(("_", ".")) for part in path.parts)


def _unpacked(file: Path, folder: Path) -> Path:
    if file.suffix.lower() != ".bz2":
        return file.absolute()
    folder.mkdir(parents=True)
    made = folder / "events"
    try:
        with bz2.open(file) as content, made.open("wb") as output:
            shutil.copyfileobj(content, output)
    except (OSError, EOFError) as error:
        raise unreadable(file, error) from error
    return made


def _table(connection: duckdb.DuckDBPyConnection, relation: str) -> Source:
    columns: dict[str, str] = {}
    types: dict[str, str] = {}

    def add(name: str, expression: str, kind: duckdb.sqltypes.DuckDBPyType) -> None:
        columns[name] = expression
        types[name] = f"{kind}"
        if kind.id == "struct":
            for child, child_kind in kind.children:
                if isinstance(child_kind, duckdb.sqltypes.DuckDBPyType):
                    add(f"{name}.{child}", f"{expression}.{quoted(child)}", child_kind)

    connection.execute(f"CREATE OR REPLACE TEMP TABLE sample AS SELECT * FROM {relation} LIMIT {_ROWS_LOOKED_AT}")
    found = connection.sql("SELECT * FROM sample LIMIT 0")
    for name, kind in zip(found.columns, found.types, strict=True):
        add(name, f"source.{quoted(name)}", kind)
    for name, kind in zip(found.columns, found.types, strict=True):
        expressions = _inside_text(connection, name) if f"{kind}" == "VARCHAR" else {}
        if kind.id == "map":
            expressions = _inside_map(connection, name)
        columns |= {f"{name}.{key}": expression for key, expression in expressions.items()}
        types |= {f"{name}.{key}": "VARCHAR" for key in expressions}
    return Source(relation, columns, types)


def _inside_text(connection: duckdb.DuckDBPyConnection, column: str) -> dict[str, str]:
    """Return the SQL of each key of a column of JSON objects as text, such as the properties of PostHog."""
    name = quoted(column)
    keys = connection.execute(
        "SELECT DISTINCT unnest(json_keys(value)) AS key FROM "
        f"(SELECT {name} AS value FROM sample WHERE starts_with({name}, '{{') AND json_valid({name})) ORDER BY key"
    ).fetchall()
    valid = f"if(json_valid(source.{name}), source.{name}, NULL)"
    return {key: f"json_extract_string({valid}, {literal(f'$.{quoted(key)}')})" for (key,) in keys}


def _inside_map(connection: duckdb.DuckDBPyConnection, column: str) -> dict[str, str]:
    keys = connection.execute(
        f"SELECT DISTINCT unnest(map_keys({quoted(column)}))::VARCHAR AS key FROM sample ORDER BY key"
    ).fetchall()
    return {key: f"source.{quoted(column)}[{literal(key)}]" for (key,) in keys}


def _json(connection: duckdb.DuckDBPyConnection, relation: str) -> Source:
    rows = connection.execute(
        "SELECT DISTINCT unnest(json_keys(json)) AS name, '' AS child FROM "
        f"(FROM {relation} LIMIT {_ROWS_LOOKED_AT}) UNION ALL "
        "SELECT DISTINCT key, unnest(json_keys(value)) FROM (SELECT unnest(json_keys(json)) AS key, json FROM "
        f"(FROM {relation} LIMIT {_ROWS_LOOKED_AT})) , "
        "LATERAL (SELECT json_extract(json, '$.\"' || key || '\"') AS value) WHERE json_type(value) = 'OBJECT'"
    ).fetchall()
    paths = sorted((name, child) if child else (name,) for name, child in rows)
    columns = {
        ".".join(path): f"json_extract_string(source.json, {literal('$' + ''.join(f'.{quoted(p)}' for p in path))})"
        for path in paths
    }
    return Source(relation, columns, dict.fromkeys(columns, "VARCHAR"))
