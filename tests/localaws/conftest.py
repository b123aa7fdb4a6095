"""One region for all tests of the engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
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
