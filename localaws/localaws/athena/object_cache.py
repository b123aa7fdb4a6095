"""S3 objects as local files, copied once per content.

A file's path holds the partition as hive-style folders, whatever the object's key looks like, so that DuckDB
skips the partitions a query does not ask for.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from localaws import s3files
from localaws.athena.errors import QueryError
from localaws.iam_record import s3_calls


class ObjectCache:
    """Local copies of objects below one folder; safe to use from several threads.

    Parameters
    ----------
    folder
        Where the copies lie. The cache never removes one: the folder goes when the region stops.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths: dict[tuple[str, str, tuple[str | None, ...]], str] = {}
        self._uris: dict[str, str] = {}
        self._schemas: dict[str, str] = {}
        self._lock = threading.Lock()

    def fetch(self, found: Any, uri: str, partition: Mapping[str, str | None]) -> str:
        """Return the path of an object's local copy, copying it when this content is not there yet.

        Parameters
        ----------
        found
            The object, from `s3files.Store.objects`.
        uri
            Its S3 URI, for messages.
        partition
            Values of the partition columns in the table's order; None for NULL.
        """
        etag = s3files.etag(found)
        known = (uri, etag, tuple(partition.values()))
        bucket, key = s3files.split_uri(uri)
        if (path := self._paths.get(known)) is not None:
            s3_calls.record("s3:GetObject", bucket, key)  # on AWS every query reads it anew
            return path
        folders = [f"{name}={_folder_value(value)}" for name, value in partition.items()]
        identity = hashlib.sha256(f"{key}\0{etag}".encode()).hexdigest()[:24]
        target = self.folder.joinpath(bucket, *folders, f"{identity}-{Path(key).name[-100:]}")
        s3files.save(found, target)
        with self._lock:
            self._uris[str(target)] = uri
            self._paths[known] = str(target)
        return str(target)

    def uri(self, path: str) -> str:
        """Return the S3 URI that a local copy came from."""
        return self._uris.get(path, path)

    def in_s3_terms(self, message: str) -> str:
        """Replace local paths in a message by the S3 URIs they came from."""
        with self._lock:
            for path in [path for path in self._uris if path in message]:
                message = message.replace(path, self._uris[path])
        return message

    def by_schema(self, connection: duckdb.DuckDBPyConnection, paths: list[str]) -> list[list[str]]:
        """Group Parquet files by equal schema, so that each group can be read by its first file's.

        Raises
        ------
        QueryError
            A file is no Parquet file.
        """
        with self._lock:
            new = [path for path in paths if path not in self._schemas]
        if new:
            try:
                found = connection.execute(
                    "SELECT file_name, md5(string_agg(concat_ws(' ', name, type, converted_type, logical_type, "
                    "num_children, precision, scale), ',' ORDER BY name)) FROM parquet_schema(?) GROUP BY file_name",
                    [new],
                ).fetchall()
            except duckdb.InvalidInputException as error:
                headline = self.in_s3_terms(str(error)).partition("\n")[0]
                raise QueryError("HIVE_BAD_DATA", f"Not valid Parquet file. {headline}") from error
            with self._lock:
                self._schemas.update(found)
        groups: dict[str, list[str]] = {}
        for path in paths:
            groups.setdefault(self._schemas[path], []).append(path)
        return list(groups.values())


def _folder_value(value: str | None) -> str:
    return "__HIVE_DEFAULT_PARTITION__" if value is None else quote(value, safe=" :")
