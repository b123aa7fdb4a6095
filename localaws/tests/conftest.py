"""One region for all tests of the engines."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_athena import Athena
from engine_region import Region, running_region


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with running_region(tmp_path_factory.mktemp("engines")) as region:
        yield region


@pytest.fixture
def region(engines: Region) -> Iterator[Region]:
    """The region; faults that a test leaves are lifted."""
    yield engines
    engines.lift()


@pytest.fixture
def athena(region: Region, tmp_path: Path) -> Iterator[Athena]:
    database = f"db_{uuid.uuid4().hex[:8]}"
    region.client("glue").create_database(DatabaseInput={"Name": database})
    yield Athena(region, database, tmp_path)
    region.client("glue").delete_database(Name=database)
