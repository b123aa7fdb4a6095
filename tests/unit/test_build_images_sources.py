"""The tag of an image changes with its sources and with nothing else."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from functions.build_images.sources import copied_sources, image_tag, source_archive

CONTAINERS = Path(__file__).parents[2] / "containers"
IMAGES = ("preprocessing", "sending", "serving", "training")


@pytest.fixture
def containers(tmp_path: Path) -> Path:
    """A copy of the sources, as in a bundle."""
    copy = tmp_path / "containers"
    shutil.copytree(CONTAINERS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def tags(folder: Path) -> dict[str, str]:
    return {image: image_tag(folder, image) for image in IMAGES}


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n# changed\n")


def test_a_copy_on_another_day_has_the_same_tags_and_archive(containers: Path) -> None:
    for file in containers.rglob("*"):
        os.utime(file, (1, 1))
        file.chmod(0o700)
    (containers / "visitcast" / "__pycache__").mkdir()
    (containers / "visitcast" / "__pycache__" / "schema.cpython-313.pyc").write_bytes(b"compiled")
    assert tags(containers) == tags(CONTAINERS)
    assert source_archive(containers) == source_archive(CONTAINERS)


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        pytest.param(lambda c: append(c / "visitcast/training/job.py"), set(IMAGES), id="a module of the package"),
        pytest.param(lambda c: append(c / "serving/requirements.txt"), {"serving"}, id="locked packages"),
        pytest.param(lambda c: append(c / "sending/Dockerfile"), {"sending"}, id="a Dockerfile"),
        pytest.param(lambda c: append(c / "visitcast/README.md"), set(), id="what .dockerignore leaves out"),
        pytest.param(lambda c: (c / "visitcast/paths.py").rename(c / "visitcast/folders.py"), set(IMAGES), id="a name"),
        pytest.param(lambda c: (c / "visitcast/new.py").write_text(""), set(IMAGES), id="an empty file more"),
        pytest.param(lambda c: (c / "pyproject.toml").write_text("new"), set(), id="what no image copies"),
    ],
)
def test_a_change_changes_the_tags_of_the_images_it_goes_into(
    containers: Path, change: Callable[[Path], object], changed: set[str]
) -> None:
    before = tags(containers)
    change(containers)
    after = tags(containers)
    assert {image for image in IMAGES if before[image] != after[image]} == changed


def test_another_base_image_is_another_image() -> None:
    assert image_tag(CONTAINERS, "serving", "mirror/python:3.13-slim") != image_tag(CONTAINERS, "serving")


def test_the_archive_holds_what_the_dockerfiles_need() -> None:
    names = set(zipfile.ZipFile(io.BytesIO(source_archive(CONTAINERS))).namelist())
    for image in IMAGES:
        dockerfile = CONTAINERS / image / "Dockerfile"
        assert f"{image}/Dockerfile" in names
        for source in copied_sources(dockerfile):
            assert any(name == source or name.startswith(f"{source}/") for name in names), source
        assert {f"{image}/requirements.txt", "visitcast"} <= set(copied_sources(dockerfile))
    assert ".dockerignore" in names
    assert not any("__pycache__" in name for name in names)


def test_a_copied_file_that_is_not_there_is_named(containers: Path) -> None:
    shutil.rmtree(containers / "visitcast")
    with pytest.raises(FileNotFoundError, match="visitcast is copied by a Dockerfile"):
        image_tag(containers, "serving")


def test_a_pattern_that_would_be_misread_is_refused(containers: Path) -> None:
    (containers / ".dockerignore").write_text("training/*.md\n")
    with pytest.raises(ValueError, match=r"training/\*\.md"):
        image_tag(containers, "training")
