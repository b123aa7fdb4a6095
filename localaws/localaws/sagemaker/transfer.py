"""Copies between S3 and the folders of containers."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localaws import s3files
from localaws.sagemaker.errors import JobError


def download(store: s3files.Store, source: Mapping[str, Any], folder: Path, *, host: int = 0, hosts: int = 1) -> int:
    """Download the objects of an S3 data source to a folder and return their number.

    Parameters
    ----------
    source
        ``S3Uri`` and ``S3DataDistributionType`` of a data source whose ``S3DataType`` is S3Prefix.
    folder
        Folder of the files, which keep their paths below the prefix.
    host, hosts
        Number of this instance, from 0, and of all. With ShardedByS3Key each gets its share of the objects.

    Raises
    ------
    JobError
        There are no objects, or a key leaves the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = _entries(store, source)
    except (s3files.ObjectNotFoundError, ValueError) as error:
        raise _nothing_there(source) from error
    if not found:
        raise _nothing_there(source)
    if source.get("S3DataDistributionType") == "ShardedByS3Key":
        found = found[host::hosts]
    for entry, relative in found:
        if ".." in Path(relative).parts:
            raise JobError(f"ClientError: Data download failed: the key of {entry.name!r} leaves the folder.")
        s3files.save(entry, folder / relative)
    return len(found)


def upload(store: s3files.Store, folder: Path, uri: str) -> None:
    """Upload all files of a folder to an S3 prefix.

    Raises
    ------
    JobError
        The bucket does not exist.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _put(store, path, f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}")


def upload_archive(store: s3files.Store, folder: Path, uri: str) -> None:
    """Upload the content of a folder as one ``.tar.gz``, which may be empty as on AWS.

    Raises
    ------
    JobError
        The bucket does not exist.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        path = Path(temporary) / "archive.tar.gz"
        # Models hardly compress, and the default level takes several times as long.
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            for entry in sorted(folder.iterdir()):
                archive.add(entry, arcname=entry.name)
        _put(store, path, uri)


def extract_model(store: s3files.Store, uri: str, folder: Path) -> None:
    """Unpack the archive of a model.

    Raises
    ------
    JobError
        The object does not exist, or is not a ``.tar.gz`` that can be unpacked safely.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        path = Path(temporary) / "model.tar.gz"
        try:
            store.download(uri, path)
            with tarfile.open(path, "r:gz") as archive:
                _require_inside(archive, folder)
                archive.extraction_filter = getattr(tarfile, "data_filter", None)  # None before Python 3.11.4
                archive.extractall(folder)  # nosec B202 # checked by the lines above
        except s3files.ObjectNotFoundError as error:
            raise JobError(f"ClientError: Could not find model data at {uri}.") from error
        except (tarfile.TarError, OSError, EOFError) as error:
            raise JobError(f"ClientError: Failed to extract model data archive from {uri}: {error}") from error


def _require_inside(archive: tarfile.TarFile, folder: Path) -> None:
    for member in archive.getmembers():
        if not (folder / member.name).resolve().is_relative_to(folder.resolve()) or not (
            member.isfile() or member.isdir()
        ):
            raise tarfile.TarError(f"{member.name} is not a file inside the folder of the archive")


class ChangedFiles:
    """Uploads changed files of a folder, for the checkpoints of a running job."""

    def __init__(self, store: s3files.Store, folder: Path, uri: str) -> None:
        self._store, self._folder, self._uri = store, folder, uri.rstrip("/")
        self._seen: dict[Path, tuple[int, int]] = {}

    def fetch(self) -> None:
        """Download the files that are in S3, for a job that continues another one."""
        bucket, prefix = s3files.split_uri(self._uri + "/")
        for found in self._store.objects(bucket, prefix):
            path = self._folder / found.name[len(prefix) :]
            s3files.save(found, path)
            self._seen[path] = _version(path)

    def copy(self) -> None:
        """Upload files that are new or have changed since the last call."""
        for path in sorted(self._folder.rglob("*")):
            if not path.is_file():
                continue
            try:
                version = _version(path)
                if self._seen.get(path) != version:
                    _put(self._store, path, f"{self._uri}/{path.relative_to(self._folder).as_posix()}")
                    self._seen[path] = version
            except FileNotFoundError:  # the job has just removed it
                continue


def _entries(store: s3files.Store, source: Mapping[str, Any]) -> list[tuple[Any, str]]:
    """Return the objects of a data source with their relative paths."""
    uri = source["S3Uri"]
    bucket, prefix = s3files.split_uri(uri)
    # The prefix s3://b/part- matches part-0 and part-1, which keep their names after the last slash.
    parent = prefix.rpartition("/")[0]
    entries = []
    for found in store.objects(bucket, prefix):
        is_below = found.name.startswith(prefix.rstrip("/") + "/")
        start = len(prefix.rstrip("/")) + 1 if is_below else len(parent) + 1 if parent else 0
        entries.append((found, found.name[start:] if prefix else found.name))
    return entries


def _nothing_there(source: Mapping[str, Any]) -> JobError:
    uri = source.get("S3Uri", "")
    return JobError(
        f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input data source. '
        "Please ensure that the bucket exists in the selected region, that objects exist under that S3 prefix, "
        "and that the role has s3:ListBucket permissions on the bucket."
    )


def _put(store: s3files.Store, path: Path, uri: str) -> None:
    try:
        store.upload(path, uri)
    except s3files.ObjectNotFoundError as error:
        raise JobError(f"ClientError: Failed to upload to {uri}: {error}") from error


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
