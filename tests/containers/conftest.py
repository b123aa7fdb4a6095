"""Fixtures of the tests with real images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from container_engine import Engine, build


def _works(command: str) -> bool:
    # A client without its daemon is installed, but does not work.
    return shutil.which(command) is not None and Engine(command)("info").returncode == 0


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The engine that CONTAINER names, else the first that works here; its containers are removed afterwards."""
    command = os.environ.get("CONTAINER") or next(filter(_works, ("docker", "podman")), None)
    if command is None:
        pytest.fail("These tests build and run images: install Docker or podman, or name another engine in CONTAINER.")
    found = Engine(command)
    yield found
    for name in found.started:
        found("rm", "--force", name)


@pytest.fixture(scope="session")
def preprocessing_image(engine: Engine) -> str:
    """Tag of the preprocessing image."""
    return build(engine, "preprocessing")


@pytest.fixture(scope="session")
def training_image(engine: Engine) -> str:
    """Tag of the training image."""
    return build(engine, "training")
