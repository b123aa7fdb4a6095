"""Put events into the bucket: one Parquet file per UTC date, as the events table needs them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError

from visitcast.data import schema

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
    try:
        with ThreadPoolExecutor(THREADS) as threads:
            pending = [threads.submit(s3.put_object, Bucket=bucket, Key=key, Body=files[key]) for key in fresh]
            for done, future in enumerate(pending, start=1):
                future.result()
                progress(done / len(pending))
    except BaseException:
        # Old and new events together would be counted twice, so the new ones are removed again.
        with suppress(ClientError, BotoCoreError):
            _delete(s3, bucket, fresh)
        raise
    _delete(s3, bucket, sorted(before - files.keys()))
    progress(1.0)
    return len(files)


def held_events(s3: S3Client, bucket: str) -> set[str]:
    """Return the keys of the bucket's events; each holds a digest of a date's events."""
    return set(_keys(s3, bucket))


def put_files(s3: S3Client, bucket: str, files: Mapping[str, bytes]) -> None:
    """Add files, such as those of a day that is over, to the events of the bucket."""
    for key, content in files.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content)


def partition_files(events: pa.Table) -> Iterator[tuple[str, bytes]]:
    """Cut events into Parquet files by UTC date: pairs of key and content, in order of date.

    Rows of a file are in order of user and time. Times are written without a zone, as Athena's ``timestamp`` is.
    """
    time = pc.cast(events[schema.EVENT_TIME], pa.timestamp("ms"))
    events = events.set_column(events.schema.get_field_index(schema.EVENT_TIME), schema.EVENT_TIME, time)
    events = events.append_column(schema.EVENTS_PARTITION, _date(events))
    events = events.sort_by(
        [(schema.EVENTS_PARTITION, "ascending"), (schema.USER_ID, "ascending"), (schema.EVENT_TIME, "ascending")]
    ).combine_chunks()
    date = events[schema.EVENTS_PARTITION].to_numpy()
    events = events.drop_columns([schema.EVENTS_PARTITION])
    starts = np.flatnonzero(np.r_[True, date[1:] != date[:-1]]).tolist()
    for start, end in zip(starts, [*starts[1:], len(date)], strict=True):
        content = io.BytesIO()
        pq.write_table(events.slice(start, end - start), content, compression="snappy")
        body = content.getvalue()
        digest = hashlib.sha256(body).hexdigest()[:16]
        yield f"{PREFIX}{schema.EVENTS_PARTITION}={np.datetime_as_string(date[start])}/{digest}.parquet", body


def _date(events: pa.Table) -> pa.ChunkedArray[Any]:
    return pc.cast(pc.cast(events[schema.EVENT_TIME], pa.timestamp("ms")), pa.date32(), safe=False)


def _keys(s3: S3Client, bucket: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX):
        for item in page.get("Contents", []):
            yield item["Key"]


def _delete(s3: S3Client, bucket: str, keys: list[str]) -> None:
    for start in range(0, len(keys), _KEYS_PER_DELETE):
        objects: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in keys[start : start + _KEYS_PER_DELETE]]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
