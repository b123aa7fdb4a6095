"""Local copies of S3 objects, one for each content.

The path of a copy has the partition as Hive-style folders, whatever the object's key is, so that DuckDB skips the
partitions that a query does not need.
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
    """Local copies of objects in one folder. Several threads may use it.

    Parameters
    ----------
    folder
        Folder of the copies. They stay until the region stops.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths: dict[tuple[str, str, tuple[str | None, ...]], str] = {}
        self._uris: dict[str, str] = {}
        self._schemas: dict[str, str] = {}
        self._lock = threading.Lock()

    def fetch(self, found: Any, uri: str, partition: Mapping[str, str | None]) -> str:
        """Return the path of an object's local copy, which is made if it does not exist.

        Parameters
        ----------
        found
            Object from `s3files.Store.objects`.
        uri
            S3 URI of the object, for messages.
        partition
            Values of the partition columns in the order of the table; None for NULL.
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
        """Return the S3 URI of a local copy."""
        return self._uris.get(path, path)

    def in_s3_terms(self, message: str) -> str:
        """Replace the paths of local copies in a message by their S3 URIs."""
        with self._lock:
            for path in [path for path in self._uris if path in message]:
                message = message.replace(path, self._uris[path])
        return message

    def by_schema(self, connection: duckdb.DuckDBPyConnection, paths: list[str]) -> list[list[str]]:
        """Group Parquet files by schema.

        Raises
        ------
        QueryError
            A file is not a Parquet file.
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
