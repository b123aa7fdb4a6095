"""Open an export with DuckDB, whatever its format: CSV, TSV, JSON Lines, JSON, Parquet, packed or not, or a folder."""

from __future__ import annotations

import bz2
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from visitcast.errors import InputError
from visitcast.events.mapping import MAPPING_FILE

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
_KNOWN: Final = "Supply CSV, TSV, JSON Lines or Parquet, also as .gz, .bz2 or .zip, or a folder of one kind of them."
_JSON_ROWS_LOOKED_AT: Final = 1000
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
    """

    relation: str
    columns: Mapping[str, str]
    types: Mapping[str, str]


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
    files = _files(path)
    kinds = {_kind(file) for file in files}
    if len(kinds) > 1:
        raise InputError(f"{path} holds files of several kinds.", f"They are {', '.join(sorted(kinds))}.", _KNOWN)
    (kind,) = kinds
    unpacked = [_unpacked(file, scratch / f"{number}") for number, file in enumerate(files)]
    names = "[" + ", ".join(literal(f"{file}") for file in unpacked) + "]"
    packed = all(file.suffix.lower() == ".gz" for file in unpacked)
    compression = ", compression='gzip'" if packed and kind != "parquet" else ""
    try:
        if kind == "json":
            return _json(connection, f"read_json_objects({names}, format='auto'{compression})")
        if kind == "parquet":
            return _table(connection, f"read_parquet({names}, union_by_name=true, hive_partitioning=false)")
        encoding = ", encoding='utf-16'" if _utf16(unpacked[0]) else ""
        options = "header=true, skip=0, all_varchar=true, union_by_name=true, hive_partitioning=false, quote='\"'"
        return _table(connection, f"read_csv({names}, {options}{encoding}{compression})")
    except duckdb.Error as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for an export that DuckDB cannot read."""
    cause = " ".join(line.strip() for line in f"{error}".splitlines()[:6] if line.strip())
    return InputError(f"{path} cannot be read.", cause[:600], _KNOWN)


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
        if file.is_file()
        and file.name != MAPPING_FILE
        and not any(part.startswith(("_", ".")) for part in file.relative_to(path).parts)
    )
    if not found:
        raise InputError(f"{path} contains no events.", "The folder has no files.", _KNOWN)
    return found


def _kind(file: Path) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    start = _start(file)
    if not start:
        raise InputError(f"{file} cannot be read.", "It is empty.", _KNOWN)
    if start[:6] == b"ARROW1":
        raise InputError(f"{file} cannot be read.", "It is a Feather (Arrow) file.", _KNOWN)
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


def _unpacked(file: Path, folder: Path) -> Path:
    suffix = file.suffix.lower()
    if suffix not in (".bz2", ".zip"):
        return file.absolute()
    folder.mkdir(parents=True)
    made = folder / "events"
    try:
        with made.open("wb") as output:
            if suffix == ".bz2":
                with bz2.open(file) as content:
                    shutil.copyfileobj(content, output)
            else:
                with zipfile.ZipFile(file) as archive:
                    members = [member for member in archive.infolist() if not member.is_dir()]
                    if len(members) != 1:
                        raise InputError(f"{file} cannot be read.", f"It holds {len(members)} files.", "Pack one file.")
                    with archive.open(members[0]) as content:
                        shutil.copyfileobj(content, output)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
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

    found = connection.sql(f"SELECT * FROM {relation} LIMIT 0")
    for name, kind in zip(found.columns, found.types, strict=True):
        add(name, f"source.{quoted(name)}", kind)
    return Source(relation, columns, types)


def _json(connection: duckdb.DuckDBPyConnection, relation: str) -> Source:
    rows = connection.execute(
        "SELECT DISTINCT unnest(json_keys(json)) AS name, '' AS child FROM "
        f"(FROM {relation} LIMIT {_JSON_ROWS_LOOKED_AT}) UNION ALL "
        "SELECT DISTINCT key, unnest(json_keys(value)) FROM (SELECT unnest(json_keys(json)) AS key, json FROM "
        f"(FROM {relation} LIMIT {_JSON_ROWS_LOOKED_AT})) , "
        "LATERAL (SELECT json_extract(json, '$.\"' || key || '\"') AS value) WHERE json_type(value) = 'OBJECT'"
    ).fetchall()
    paths = sorted((name, child) if child else (name,) for name, child in rows)
    columns = {
        ".".join(path): f"json_extract_string(source.json, {literal('$' + ''.join(f'.{quoted(p)}' for p in path))})"
        for path in paths
    }
    return Source(relation, columns, dict.fromkeys(columns, "VARCHAR"))
