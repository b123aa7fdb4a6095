"""Put events into the bucket: one Parquet file per UTC date, as the events table needs them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError

from demo.errors import DemoError
from visitcast.data import schema
from visitcast.events.dates import dates_of

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

PREFIX = "events/"
THREADS = 4
_KEYS_PER_DELETE = 1000
"""Limit of S3's DeleteObjects."""


def replace_events(s3: S3Client, bucket: str, files: Mapping[str, bytes], progress: Callable[[float], None]) -> int:
    """Make `files` the only events of the bucket.

    New files are uploaded beside the old ones, then the old ones are deleted, so events are never missing. A file's key
    holds a digest of its content, so an upload that was interrupted or is repeated uploads only what is missing.

    Parameters
    ----------
    s3 : S3Client
    bucket : str
    files : mapping
        Keys and contents, as `partition_files` makes them.
    progress : callable
        Called with the completed share, 0 to 1.

    Returns
    -------
    int
        Number of files, one for each UTC date.
    """
    before = held_events(s3, bucket)
    fresh = [key for key in files if key not in before]
    with _removed_if_it_fails(s3, bucket, fresh), ThreadPoolExecutor(THREADS) as threads:
        pending = [threads.submit(s3.put_object, Bucket=bucket, Key=key, Body=files[key]) for key in fresh]
        for done, future in enumerate(pending, start=1):
            future.result()
            progress(done / len(pending))
    _delete(s3, bucket, sorted(before - files.keys()))
    progress(1.0)
    return len(files)


def add_events(s3: S3Client, bucket: str, files: Mapping[str, Path], *, replace: bool) -> tuple[int, int]:
    """Add files of whole UTC dates to the events of a bucket.

    Files of other dates stay. New files are uploaded beside those that they replace, which are deleted at the end, so
    events are never missing. If an upload fails, the files that it has put there are deleted again. A file's key holds
    a digest of its content, so repeating an upload that was cut off uploads only what is missing.

    Parameters
    ----------
    s3 : S3Client
    bucket : str
    files : mapping
        From keys ``<prefix>/dt=<date>/<digest>.parquet`` to files.
    replace : bool
        Whether other files of the same dates are deleted.

    Returns
    -------
    tuple of int
        Number of files that were uploaded and deleted.

    Raises
    ------
    DemoError
        There are other files of the same dates, and they are not to be replaced.
    """
    folders = {key.rpartition("/")[0] for key in files}
    prefix = next(iter(folders)).rpartition("/")[0] + "/"
    before = {key for key in _keys(s3, bucket, prefix) if key.rpartition("/")[0] in folders}
    others = sorted(before - files.keys())
    if others and not replace:
        dates = sorted({key.rpartition("/")[0].rpartition("=")[2] for key in others})
        shown = ", ".join(dates[:5]) + (f" and {len(dates) - 5} more dates" if len(dates) > 5 else "")
        raise DemoError(
            f"s3://{bucket}/{prefix} has other events of the same dates.",
            f"{len(others)} files of {shown}. Their events would be counted too. Nothing was uploaded.",
            "Leave these dates out of the export, or set REPLACE=yes: they are deleted once the new ones are there.",
        )
    fresh = {key: file for key, file in files.items() if key not in before}
    with _removed_if_it_fails(s3, bucket, list(fresh)), ThreadPoolExecutor(THREADS) as threads:
        for future in [threads.submit(_put_file, s3, bucket, key, file) for key, file in fresh.items()]:
            future.result()
    _delete(s3, bucket, others)
    return len(fresh), len(others)


def held_events(s3: S3Client, bucket: str) -> set[str]:
    """Return the keys of the bucket's events; each holds a digest of a date's events."""
    return set(_keys(s3, bucket, PREFIX))


def put_files(s3: S3Client, bucket: str, files: Mapping[str, bytes]) -> None:
    """Add files, such as those of a day that is over, to the events of the bucket."""
    for key, content in files.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content)


def partition_files(events: pa.Table) -> Iterator[tuple[str, bytes]]:
    """Cut events into Parquet files by UTC date: pairs of key and content, in order of date."""
    with duckdb.connect() as connection:
        connection.register("given", events)
        connection.execute(
            f"CREATE TABLE events AS SELECT row_number() OVER () AS row, {schema.USER_ID} AS user_id, "
            f"epoch_ms({schema.EVENT_TIME}) AS ms, {schema.UTC_OFFSET_MINUTES} AS minutes, "
            f"{schema.PAGE_TYPE} AS page_type, {schema.PLATFORM} AS platform FROM given"
        )
        for date, part in dates_of(connection):
            yield date_file(date, part)


def date_file(date: date, events: pa.Table) -> tuple[str, bytes]:
    """Return the key and the content of the file of a UTC date; the key holds a digest of the content."""
    content = io.BytesIO()
    pq.write_table(events, content, compression="snappy")
    body = content.getvalue()
    digest = hashlib.sha256(body).hexdigest()[:16]
    return f"{PREFIX}{schema.EVENTS_PARTITION}={date}/{digest}.parquet", body


def _put_file(s3: S3Client, bucket: str, key: str, file: Path) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())


@contextmanager
def _removed_if_it_fails(s3: S3Client, bucket: str, keys: list[str]) -> Iterator[None]:
    """Delete new files if their upload fails: old and new events together would be counted twice."""
    try:
        yield
    except BaseException:
        with suppress(ClientError, BotoCoreError):
            _delete(s3, bucket, keys)
        raise


def _keys(s3: S3Client, bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            yield item["Key"]


def _delete(s3: S3Client, bucket: str, keys: list[str]) -> None:
    for start in range(0, len(keys), _KEYS_PER_DELETE):
        objects: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in keys[start : start + _KEYS_PER_DELETE]]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
