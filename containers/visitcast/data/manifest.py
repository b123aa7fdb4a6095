"""The manifest of a dataset: its files, sizes, cut-off dates and versions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from visitcast.data.schema import SCHEMA_VERSION
from visitcast.errors import InputError

MANIFEST_FILE: Final = "manifest.json"


@dataclass(frozen=True)
class Shard:
    """One file of the dataset and how many users and visit days it holds."""

    file: str
    users: int
    visit_days: int


@dataclass(frozen=True)
class Counts:
    """Sizes of the whole dataset and of the protocol's parts."""

    users: int
    visit_days: int
    train_rows: int
    validation_rows: int
    test_rows: int


@dataclass(frozen=True)
class CutOffs:
    """First days (``YYYY-MM-DD``) of the validation and the test part."""

    validation_starts: str
    test_starts: str


@dataclass(frozen=True)
class Manifest:
    """``manifest.json`` of a dataset.

    Attributes
    ----------
    created_at, as_of : str
        ISO-8601 instants in UTC: when the dataset was made, and when its data end.
    columns : list of str
        Columns of the visits.
    feature_names : list of str
        Columns of the fitted transformer's output: features of a visit day, then those of a target day.
    shards : list of Shard
        Files, in the order of their users.
    counts : Counts
        Sizes.
    cut_offs : CutOffs
        Dates of the protocol's split.
    versions : dict
        Versions of the libraries that wrote the dataset; the transformer needs the same scikit-learn.
    """

    created_at: str
    as_of: str
    columns: list[str]
    feature_names: list[str]
    shards: list[Shard]
    counts: Counts
    cut_offs: CutOffs
    versions: dict[str, str]
    schema_version: int = SCHEMA_VERSION


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` into a dataset's folder."""
    text = json.dumps(asdict(manifest), indent=2)
    (folder / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read ``manifest.json`` of a dataset's folder.

    Raises
    ------
    InputError
        The folder holds no manifest, or one of another schema version.
    """
    file = folder / MANIFEST_FILE
    if not file.is_file():
        raise InputError(
            "This folder holds no dataset.", f"{file} is missing.", "Point the job at the output of the preprocessing."
        )
    content = json.loads(file.read_text(encoding="utf-8"))
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            "The dataset has another schema version than this image.",
            f"{file} says {version}, this image reads {SCHEMA_VERSION}.",
            "Run the preprocessing again with an image of the same version.",
        )
    return Manifest(
        **{
            **content,
            "shards": [Shard(**shard) for shard in content["shards"]],
            "counts": Counts(**content["counts"]),
            "cut_offs": CutOffs(**content["cut_offs"]),
        }
    )


def manifest_digest(folder: Path) -> str:
    """Return the SHA-256 of a dataset's manifest in hexadecimal, which identifies the dataset."""
    return hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest()
