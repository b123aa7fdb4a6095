"""Unit tests know no region: what they call of AWS, moto answers in their own process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from forecast_queries import Run, queries_of_a_run


@pytest.fixture(autouse=True)
def _no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    # The integration tests' region stays up until the session ends, and its address in the environment.
    for name in list(os.environ):
        if name.startswith("AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """Run a query of the forecast workflow on made-up tables."""
    with queries_of_a_run() as rows:
        yield rows
