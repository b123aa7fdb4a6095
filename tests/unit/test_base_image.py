"""`make base-image` names the base of every image by its digest, and the images are then built anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from functions.build_images.sources import image_tag
from tools.base_image import BASE, CONTAINERS, main

FIRST, SECOND = (f"sha256:{digit * 64}" for digit in "ab")
IMAGES = sorted(file.parent.name for file in CONTAINERS.glob("*/Dockerfile"))


def container(folder: Path, digest: str) -> str:
    """A program in Docker's place that writes down what it is asked."""
    program = folder / "container"
    program.write_text(f'#!/bin/sh\necho "$*" >> {folder}/asked\n[ "$1" = pull ] || echo "registry/python@{digest}"\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def containers(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONTAINERS, tmp_path / "containers", ignore=shutil.ignore_patterns("__pycache__")))


def test_every_dockerfile_gets_the_digest_and_every_image_another_tag(containers: Path, tmp_path: Path) -> None:
    seen = [{image: image_tag(containers, image) for image in IMAGES}]
    for digest in (FIRST, SECOND):
        assert main(["--container", container(tmp_path, digest)], containers) == 0
        for image in IMAGES:
            text = (containers / image / "Dockerfile").read_text()
            assert f":3.13-slim@{digest}\nFROM" in text
            assert text.count("sha256:") == 1
        seen.append({image: image_tag(containers, image) for image in IMAGES})
    assert all(len({tags[image] for tags in seen}) == 3 for image in IMAGES)
    pulls = [line for line in (tmp_path / "asked").read_text().splitlines() if line.startswith("pull")]
    assert len(pulls) == 2  # by the tag, whatever digest stood there
    assert not [line for line in pulls if "sha256" in line]


def test_an_image_without_a_digest_changes_nothing(containers: Path, tmp_path: Path) -> None:
    before = (containers / "serving/Dockerfile").read_text()
    with pytest.raises(SystemExit, match="knows no digest"):
        main(["--container", container(tmp_path, "none")], containers)
    assert (containers / "serving/Dockerfile").read_text() == before


@pytest.mark.parametrize("image", IMAGES)
def test_all_images_have_one_base(image: str) -> None:
    (found,) = BASE.findall((CONTAINERS / image / "Dockerfile").read_text())
    assert found == BASE.findall((CONTAINERS / IMAGES[0] / "Dockerfile").read_text())[0]
