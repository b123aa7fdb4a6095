"""Tables of the Glue catalog as DuckDB views over local copies of their objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import duckdb

from localaws import s3files
from localaws.athena import glue_types
from localaws.athena.errors import QueryError
from localaws.athena.object_cache import ObjectCache
from localaws.athena.results import quote

_HIVE_FOLDER = re.compile(r"([^/=]+)=([^/]*)/")


@dataclass(frozen=True)
class Table:
    """A Glue table.

    Attributes
    ----------
    columns, partition_keys
        DuckDB types by name, in the order of the table.
    serde
        Serialization library, in lower case.
    properties
        Parameters of the table, which configure partition projection; names in lower case.
    partitions
        Values and locations of the partitions that are registered in Glue.
    """

    database: str
    name: str
    location: str
    columns: Mapping[str, str]
    partition_keys: Mapping[str, str]
    serde: str
    properties: Mapping[str, str]
    partitions: tuple[tuple[tuple[str, ...], str], ...]

    @classmethod
    def from_glue(
        cls, database: str, name: str, table: Mapping[str, Any], partitions: list[Mapping[str, Any]]
    ) -> Table:
        """Return a table from the answers of GetTable and GetPartitions.

        Raises
        ------
        QueryError
            The type of a column is unknown.
        """
        storage = table.get("StorageDescriptor") or {}
        serde = storage.get("SerdeInfo") or {}
        try:
            columns, keys = (
                {column["Name"].lower(): glue_types.to_duckdb(column.get("Type", "string")) for column in group or []}
                for group in (storage.get("Columns"), table.get("PartitionKeys"))
            )
        except ValueError as error:
            raise QueryError("INVALID_TABLE", f"Table {database}.{name}: {error}") from error
        return cls(
            database=database,
            name=name,
            location=storage.get("Location", "").rstrip("/") + "/",
            columns=columns,
            partition_keys=keys,
            serde=serde.get("SerializationLibrary", "").lower(),
            properties={key.lower(): str(value) for key, value in (table.get("Parameters") or {}).items()},
            partitions=tuple(
                (tuple(entry["Values"]), (entry.get("StorageDescriptor") or {}).get("Location", "").rstrip("/") + "/")
                for entry in partitions
            ),
        )

    @property
    def is_projected(self) -> bool:
        """Return whether the table has partition projection."""
        return self.properties.get("projection.enabled", "").lower() == "true"


def objects(table: Table, store: s3files.Store) -> Iterator[tuple[Any, str, dict[str, str | None]]]:
    """Yield the objects of a table, each with its URI and the values of its partition columns.

    Raises
    ------
    QueryError
        The bucket of the location does not exist.
    """
    if table.partition_keys and not table.is_projected:
        for values, location in table.partitions:
            partition: dict[str, str | None] = dict(zip(table.partition_keys, values, strict=False))
            for found, uri in _below(store, location):
                yield found, uri, partition
        return
    template = table.properties.get("storage.location.template", "")
    pattern = _template_pattern(template) if template else None
    location = template.partition("${")[0] or table.location
    for found, uri in _below(store, location):
        if not table.partition_keys:
            yield found, uri, {}
        elif (inferred := _values(table, uri, pattern)) is not None:
            yield found, uri, inferred


def create_view(connection: duckdb.DuckDBPyConnection, table: Table, paths: list[str], cache: ObjectCache) -> None:
    """Create the view of a table over local files.

    Raises
    ------
    QueryError
        The storage format is not supported, or a file does not match the columns of the table.
    """
    if not paths:
        nothing = ", ".join(f"CAST(NULL AS {of}) AS {_name(name)}" for name, of in _all(table).items())
        select = f"SELECT {nothing} WHERE false"
    elif "parquet" in table.serde:
        groups = cache.by_schema(connection, paths)
        selects = [_parquet(connection, table, group, cache, number) for number, group in enumerate(groups)]
        select = " UNION ALL ".join(selects)
    elif "jsonserde" in table.serde:
        select = _json(connection, table, paths)
    else:
        raise QueryError(
            "NOT_SUPPORTED",
            f"Table {table.database}.{table.name} is stored as {table.serde or 'an unknown format'}. "
            "The local region reads Parquet and JSON Lines only.",
        )
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_name(table.database)}")
    connection.execute(f"CREATE VIEW {_name(table.database)}.{_name(table.name)} AS {select}")


def _below(store: s3files.Store, location: str) -> Iterator[tuple[Any, str]]:
    """Yield the objects under a location, without empty ones and names that start with ``_`` or ``.``."""
    try:
        bucket, prefix = s3files.split_uri(location)
        for found in store.objects(bucket, prefix):
            if found.size and found.name.rpartition("/")[2][:1] not in ("_", "."):
                yield found, f"s3://{bucket}/{found.name}"
    except (s3files.ObjectNotFoundError, ValueError) as error:
        raise QueryError("HIVE_FILESYSTEM_ERROR", f"{error} (location {location!r})") from error


def _values(table: Table, uri: str, pattern: re.Pattern[str] | None) -> dict[str, str | None] | None:
    """Return the values of the partition columns in an object's URI, or None if it is in no partition."""
    if pattern is None:
        found = {name.lower(): unquote(value) for name, value in _HIVE_FOLDER.findall(uri)}
    elif match := pattern.match(uri):
        found = {name.lower(): unquote(value) for name, value in match.groupdict().items()}
    else:
        return None
    if not all(name in found and _in_projection(table, name, found[name]) for name in table.partition_keys):
        return None
    return {name: None if found[name] == "__HIVE_DEFAULT_PARTITION__" else found[name] for name in table.partition_keys}


def _in_projection(table: Table, name: str, value: str) -> bool:
    """Return whether a value is in an enum or integer projection. Other projections contain whatever is in S3."""
    kind = table.properties.get(f"projection.{name}.type", "").lower()
    if kind == "enum":
        listed = table.properties.get(f"projection.{name}.values", "").split(",")
        return value in [entry.strip() for entry in listed]
    if kind == "integer":
        low, _, high = table.properties.get(f"projection.{name}.range", ",").partition(",")
        return value.lstrip("-").isdigit() and int(low) <= int(value) <= int(high)
    return True


def _template_pattern(template: str) -> re.Pattern[str]:
    pieces = re.split(r"\$\{(\w+)\}", template)
    text = "".join(f"(?P<{piece}>[^/]+)" if number % 2 else re.escape(piece) for number, piece in enumerate(pieces))
    return re.compile(text)


def _parquet(
    connection: duckdb.DuckDBPyConnection, table: Table, paths: list[str], cache: ObjectCache, number: int
) -> str:
    """Return the SELECT that reads files of one schema. Columns are matched by name; missing ones are NULL."""
    described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning=false)", [paths[:1]])
    in_file = {row[0].lower(): (row[0], row[1]) for row in described.fetchall()}
    columns = []
    for name, wanted in table.columns.items():
        own_name, own_type = in_file.get(name, (name, wanted))
        if name in in_file and not glue_types.is_readable(own_type, wanted):
            raise QueryError(
                "HIVE_BAD_DATA",
                f"Field {name}'s type {own_type} in parquet file {cache.uri(paths[0])} is incompatible with type "
                f"{glue_types.to_trino(wanted)} defined in table schema",
            )
        value = _name(own_name) if name in in_file else "NULL"
        if own_type == "TIMESTAMP WITH TIME ZONE" and wanted == "TIMESTAMP":
            value = f"timezone('UTC', {value})"
        elif own_type == "BLOB" and wanted == "VARCHAR":
            value = f"decode({value})"
        columns.append(f"CAST({value} AS {wanted}) AS {_name(name)}")
    files = _files(connection, table, paths, number)
    return f"SELECT {_with_partitions(table, columns)} FROM read_parquet({files})"


def _json(connection: duckdb.DuckDBPyConnection, table: Table, paths: list[str]) -> str:
    """Return the SELECT that reads JSON Lines. Keys that are not columns are ignored; missing ones are NULL."""
    columns = ", ".join(f"{quote(name)}: {quote(of)}" for name, of in table.columns.items())
    files = _files(connection, table, paths, 0)
    names = [_name(name) for name in table.columns]
    return (
        f"SELECT {_with_partitions(table, names)} "
        f"FROM read_json({files}, format='newline_delimited', columns={{{columns}}})"
    )


def _files(connection: duckdb.DuckDBPyConnection, table: Table, paths: list[str], number: int) -> str:
    """Return the first arguments of a reader. A view cannot have parameters, so the list of files is a variable."""
    variable = f"{table.database}.{table.name}.{number}"
    connection.execute(f"SET VARIABLE {_name(variable)} = ?", [paths])
    if not table.partition_keys:
        return f"getvariable({quote(variable)}), hive_partitioning=false"
    types = ", ".join(f"{quote(key)}: VARCHAR" for key in table.partition_keys)
    return f"getvariable({quote(variable)}), hive_partitioning=true, hive_types={{{types}}}"


def _with_partitions(table: Table, columns: list[str]) -> str:
    keys = [f"CAST({_name(key)} AS {of}) AS {_name(key)}" for key, of in table.partition_keys.items()]
    return ", ".join([*columns, *keys])


def _all(table: Table) -> dict[str, str]:
    return {**table.columns, **table.partition_keys}


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
