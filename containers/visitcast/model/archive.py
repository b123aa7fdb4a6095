"""Save a model into a folder; load it from a folder or from the archive that SageMaker packs."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from visitcast.contract import whole_folder
from visitcast.model import bundle
from visitcast.model.bundle import Bundle


def save(model: Bundle, folder: str | PathLike[str]) -> None:
    """Write a model into a new or empty folder, completely or not at all.

    Raises
    ------
    InputError
        The folder is not empty. Nothing is overwritten.
    """
    with whole_folder(Path(folder)) as empty:
        bundle.save(empty, model)


def load(path: str | PathLike[str]) -> Bundle:
    """Read a model from a folder, or from the ``model.tar.gz`` of a training job.

    Raises
    ------
    InputError
        The path holds no model.
    VersionMismatch
        The model has another version than this package.
    """
    place = Path(path)
    if place.is_dir():
        return bundle.load(place)
    with bundle.unpacked(place) as folder:
        return bundle.load(folder)
