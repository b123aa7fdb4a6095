"""Copies between files and moto's S3, in this process."""

from __future__ import annotations

import tarfile
import uuid
from pathlib import Path

import pytest
from moto.s3.models import s3_backends

from localaws import s3files
from localaws.sagemaker import transfer
from localaws.sagemaker.errors import JobError

ACCOUNT, REGION = "111122223333", "eu-central-1"


@pytest.fixture
def bucket() -> str:
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    s3_backends[ACCOUNT]["aws"].create_bucket(name, REGION)
    return name


@pytest.fixture
def store() -> s3files.Store:
    return s3files.Store(ACCOUNT, REGION)


def put(bucket: str, **objects: bytes) -> None:
    for key, content in objects.items():
        s3_backends[ACCOUNT]["aws"].put_object(bucket, key.replace("__", "/"), content)


@pytest.mark.parametrize("size", [0, 1, 6 * 1024 * 1024], ids=["empty", "small", "spooled to disk"])
def test_a_file_survives_the_way_there_and_back(store: s3files.Store, bucket: str, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes((b"0123456789" * (size // 10 + 1))[:size])
    store.upload(source, f"s3://{bucket}/a/b")
    store.download(f"s3://{bucket}/a/b", target)
    assert target.read_bytes() == source.read_bytes()
    assert store.read(f"s3://{bucket}/a/b", 5, 3) == source.read_bytes()[5:8]
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_what_is_missing(store: s3files.Store, bucket: str, tmp_path: Path) -> None:
    assert not store.has(f"s3://{bucket}/nothing")
    assert not store.has("s3://no-such-bucket/nothing")
    (tmp_path / "file").write_text("x")
    for action in (
        lambda: store.download(f"s3://{bucket}/nothing", tmp_path / "x"),
        lambda: store.read("s3://no-such-bucket/x", 0, 1),
        lambda: store.upload(tmp_path / "file", "s3://no-such-bucket/x"),
        lambda: list(store.objects("no-such-bucket", "")),
    ):
        with pytest.raises(s3files.ObjectNotFoundError):
            action()


@pytest.mark.parametrize(
    ("uri", "parts"), [("s3://b/k/l", ("b", "k/l")), ("s3://b", ("b", "")), ("s3://b/", ("b", ""))]
)
def test_uris(uri: str, parts: tuple[str, str]) -> None:
    assert s3files.split_uri(uri) == parts


@pytest.mark.parametrize("uri", ["", "b/k", "https://b/k", "s3:///k"])
def test_texts_that_are_not_s3_uris(uri: str) -> None:
    with pytest.raises(ValueError, match="is not an S3 URI"):
        s3files.split_uri(uri)


@pytest.mark.parametrize(
    ("prefix", "files"),
    [
        ("data", {"a.csv", "deep/b.csv"}),
        ("data/", {"a.csv", "deep/b.csv"}),
        ("data/a.csv", {"a.csv"}),
        ("data/de", {"deep/b.csv"}),
        ("", {"data/a.csv", "data/deep/b.csv", "other.csv"}),
    ],
    ids=["folder", "folder with slash", "object", "start of a name", "whole bucket"],
)
def test_a_prefix_is_downloaded_with_the_paths_below_it(
    store: s3files.Store, bucket: str, tmp_path: Path, prefix: str, files: set[str]
) -> None:
    put(bucket, **{"data__a.csv": b"1", "data__deep__b.csv": b"2", "other.csv": b"3"})
    transfer.download(store, {"S3Uri": f"s3://{bucket}/{prefix}"}, tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_a_key_that_leaves_its_folder_is_refused(store: s3files.Store, bucket: str, tmp_path: Path) -> None:
    put(bucket, **{"data__..__..__evil": b"1"})
    with pytest.raises(JobError, match="leaves the folder"):
        transfer.download(store, {"S3Uri": f"s3://{bucket}/data/"}, tmp_path / "in")
    assert list(tmp_path.rglob("evil")) == []


def test_an_archive_that_leaves_its_folder_is_refused(store: s3files.Store, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "evil").write_text("x")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "evil", arcname="../../evil")
    store.upload(tmp_path / "model.tar.gz", f"s3://{bucket}/model.tar.gz")
    with pytest.raises(JobError, match="Failed to extract model data archive"):
        transfer.extract_model(store, f"s3://{bucket}/model.tar.gz", tmp_path / "out" / "model")


@pytest.mark.parametrize("content", [b"", b"no archive at all"], ids=["empty", "text"])
def test_an_object_that_is_no_archive(store: s3files.Store, bucket: str, tmp_path: Path, content: bytes) -> None:
    put(bucket, model=content)
    with pytest.raises(JobError, match="Failed to extract model data archive"):
        transfer.extract_model(store, f"s3://{bucket}/model", tmp_path / "model")


def test_only_changed_files_are_copied_again(store: s3files.Store, bucket: str, tmp_path: Path) -> None:
    files = transfer.ChangedFiles(store, tmp_path, f"s3://{bucket}/checkpoints")
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    files.copy()
    before = {found.name: found.last_modified for found in store.objects(bucket, "checkpoints/")}
    (tmp_path / "two").write_text("22")
    files.copy()
    after = {found.name: found.last_modified for found in store.objects(bucket, "checkpoints/")}
    assert [name for name in after if after[name] != before[name]] == ["checkpoints/two"]
    assert store.read(f"s3://{bucket}/checkpoints/two", 0, 9) == b"22"
