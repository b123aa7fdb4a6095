"""One region for all tests of the region."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from athena_queries import Athena
from region import Region, running_region


@pytest.fixture(autouse=True)
def _no_other_region(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where other tests keep a region until the session ends, its address is in the environment.
    for name in list(os.environ):
        if name.startswith("AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def shared_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with running_region(tmp_path_factory.mktemp("region")) as region:
        yield region


@pytest.fixture
def region(shared_region: Region) -> Iterator[Region]:
    """The region; faults that a test leaves are lifted."""
    yield shared_region
    shared_region.lift()


@pytest.fixture
def athena(region: Region, tmp_path: Path) -> Iterator[Athena]:
    database = f"db_{uuid.uuid4().hex[:8]}"
    region.client("glue").create_database(DatabaseInput={"Name": database})
    yield Athena(region, database, tmp_path)
    region.client("glue").delete_database(Name=database)
