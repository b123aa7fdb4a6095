"""One region for all tests."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from athena_queries import Athena
from region import MOCKS, Region, running_region


@pytest.fixture(autouse=True)
def _no_other_region(monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests of an application may keep a region until the session ends, with its address in the environment.
    for name in list(os.environ):
        if name.startswith("AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def shared_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    folder = tmp_path_factory.mktemp("region")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SFN_MOCK_CONFIG", str(folder / "home" / MOCKS))
        with running_region(folder) as region:
            yield region


@pytest.fixture
def region(shared_region: Region) -> Iterator[Region]:
    """Return the region and remove its faults after the test."""
    yield shared_region
    shared_region.lift()


@pytest.fixture
def athena(region: Region, tmp_path: Path) -> Iterator[Athena]:
    database = f"db_{uuid.uuid4().hex[:8]}"
    region.client("glue").create_database(DatabaseInput={"Name": database})
    yield Athena(region, database, tmp_path)
    region.client("glue").delete_database(Name=database)
