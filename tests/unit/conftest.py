"""Unit tests know no region: what they call of AWS, moto answers in their own process."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    # The integration tests' region stays up until the session ends, and its address in the environment.
    for name in list(os.environ):
        if name.startswith("AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name)
