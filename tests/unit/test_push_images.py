"""`make images` against a registry, with a stand-in for the container engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from push_images import CONTAINERS, main

from functions.build_images.sources import image_tag

IMAGES = ["preprocessing", "sending", "serving", "training"]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a file with one line per command of the container engine, and an account behind boto3."""
    record, engine = tmp_path / "commands", tmp_path / "engine"
    record.touch()
    engine.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> {record}\n")
    engine.chmod(0o755)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield record


def run(monkeypatch: pytest.MonkeyPatch, commands: Path, *arguments: str) -> list[str]:
    engine = str(commands.with_name("engine"))
    monkeypatch.setattr(sys, "argv", ["push_images.py", "--environment", "test", "--container", engine, *arguments])
    main()
    return commands.read_text().splitlines()


def make_repositories() -> None:
    for image in IMAGES:
        boto3.client("ecr").create_repository(repositoryName=f"visitcast-test/{image}")


def test_only_missing_images_are_built_with_the_tags_of_the_deployment(
    monkeypatch: pytest.MonkeyPatch, commands: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_repositories()
    manifest = json.dumps({"schemaVersion": 2, "layers": [], "mediaType": "application/vnd.oci.image.manifest.v1+json"})
    there = "serving"
    boto3.client("ecr").put_image(
        repositoryName=f"visitcast-test/{there}", imageTag=image_tag(CONTAINERS, there), imageManifest=manifest
    )
    found = run(monkeypatch, commands)
    pushed = [line.split()[1] for line in found if line.startswith("push ")]
    assert pushed == [
        f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/visitcast-test/{image}:{image_tag(CONTAINERS, image)}"
        for image in IMAGES
        if image != there
    ]
    assert found[0].startswith("login --username AWS")
    printed = capsys.readouterr().out
    assert "3 pushed, 1 there already" in printed
    assert all(f"{image.title()}ImageUri=" in printed for image in IMAGES)


def test_the_base_image_is_an_argument_of_the_build_and_part_of_the_tag(
    monkeypatch: pytest.MonkeyPatch, commands: Path
) -> None:
    make_repositories()
    builds = [
        line
        for line in run(monkeypatch, commands, "--base-image", "mirror/python:3.13-slim")
        if line.startswith("build ")
    ]
    assert len(builds) == len(IMAGES)
    for image, line in zip(IMAGES, builds, strict=True):
        assert "--build-arg BASE_IMAGE=mirror/python:3.13-slim" in line
        assert f"/{image}:{image_tag(CONTAINERS, image, 'mirror/python:3.13-slim')} " in line


def test_another_registry_gets_all_images_without_a_look(monkeypatch: pytest.MonkeyPatch, commands: Path) -> None:
    found = run(monkeypatch, commands, "--registry", "registry.example.com")
    assert [line.split()[0] for line in found] == ["build", "push"] * len(IMAGES)


def test_before_the_first_deployment_the_message_says_so(monkeypatch: pytest.MonkeyPatch, commands: Path) -> None:
    with pytest.raises(
        SystemExit, match=r"no repository visitcast-test/preprocessing\. The stack creates it: deploy first"
    ):
        run(monkeypatch, commands)
    assert commands.read_text() == ""
