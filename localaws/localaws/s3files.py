"""Copies between the region's S3 and local files, without HTTP."""

from __future__ import annotations

import mmap
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moto.s3.exceptions import MissingBucket
from moto.s3.models import FakeDeleteMarker, s3_backends
from moto.utilities.utils import get_partition

from localaws.iam_record import s3_calls


class ObjectNotFoundError(LookupError):
    """The bucket or object does not exist."""


def split_uri(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key`` into bucket and key. The key may be empty.

    Raises
    ------
    ValueError
        The text is not an S3 URI.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in ("s3", "s3a") or not bucket:
        raise ValueError(f"{uri!r} is not an S3 URI. Write s3://bucket/key.")
    return bucket, key


class Store:
    """The S3 of one account.

    Parameters
    ----------
    account_id, region
        The account, and a region of its partition. All regions of a partition share one S3.
    """

    def __init__(self, account_id: str, region: str) -> None:
        self._backend: Any = s3_backends[account_id][get_partition(region)]

    def has_bucket(self, bucket: str) -> bool:
        """Return whether a bucket exists."""
        try:
            self._backend.get_bucket(bucket)
        except MissingBucket:
            return False
        return True

    def has(self, uri: str) -> bool:
        """Return whether an object exists."""
        bucket, key = split_uri(uri)
        return self.has_bucket(bucket) and self._find(bucket, key) is not None

    def objects(self, bucket: str, prefix: str) -> Iterator[Any]:
        """Yield the current objects whose key starts with a prefix, sorted by key, without folder markers.

        Raises
        ------
        ObjectNotFoundError
            The bucket does not exist.
        """
        s3_calls.record("s3:ListBucket", bucket)
        try:
            keys = self._backend.get_bucket(bucket).keys
        except MissingBucket:
            raise ObjectNotFoundError(f"The specified bucket does not exist: {bucket}") from None
        names = sorted(name for name in list(keys) if name.startswith(prefix) and not name.endswith("/"))
        for name in names:
            found = keys.get(name)
            if found is not None and not isinstance(found, FakeDeleteMarker):
                yield found

    def download(self, uri: str, path: Path) -> None:
        """Copy one object to a file.

        Raises
        ------
        ObjectNotFoundError
            The bucket or object does not exist.
        """
        bucket, key = split_uri(uri)
        if not self.has_bucket(bucket) or (found := self._find(bucket, key)) is None:
            raise ObjectNotFoundError(f"The specified object does not exist: {uri}")
        save(found, path)

    def upload(self, path: Path, uri: str) -> None:
        """Upload a file as one object.

        Raises
        ------
        ObjectNotFoundError
            The bucket does not exist.
        """
        bucket, key = split_uri(uri)
        s3_calls.record("s3:PutObject", bucket, key)
        try:
            if path.stat().st_size == 0:
                self._backend.put_object(bucket, key, b"")
                return
            # A mapped file is copied to the object's buffer in blocks and is never in memory twice.
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                self._backend.put_object(bucket, key, content)
        except MissingBucket:
            raise ObjectNotFoundError(f"The specified bucket does not exist: {bucket}") from None

    def read(self, uri: str, start: int, length: int) -> bytes:
        """Read part of an object. Return fewer bytes at its end.

        Raises
        ------
        ObjectNotFoundError
            The bucket or object does not exist.
        """
        bucket, key = split_uri(uri)
        if not self.has_bucket(bucket) or (found := self._find(bucket, key)) is None:
            raise ObjectNotFoundError(f"The specified object does not exist: {uri}")
        s3_calls.record("s3:GetObject", bucket, key)
        # The public `value` would copy the whole object.
        with found.lock:
            found._value_buffer.seek(start)
            data: bytes = found._value_buffer.read(length)
        return data

    def _find(self, bucket: str, key: str) -> Any | None:
        found = self._backend.get_object(bucket, key)
        return None if isinstance(found, FakeDeleteMarker) else found


def etag(found: Any) -> str:
    """Return an object's ETag without its quotes."""
    # moto computes it on first use from the buffer in which readers seek, so it needs their lock.
    with found.lock:
        return str(found.etag).strip('"')


def save(found: Any, path: Path) -> None:
    """Copy an object to a file. Readers see the whole file or none."""
    s3_calls.record("s3:GetObject", found.bucket_name, found.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{threading.get_ident()}.part")
    with temporary.open("wb") as file, found.lock:
        found._value_buffer.seek(0)
        shutil.copyfileobj(found._value_buffer, file, 1024 * 1024)
    os.replace(temporary, path)  # noqa: PTH105 - Path.replace is the same call
