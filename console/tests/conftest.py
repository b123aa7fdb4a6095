from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.data import athena
from console.data.stack import client


@pytest.fixture(autouse=True)
def _nothing_of_another_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    client.cache_clear()
    athena.forget()
    yield
    client.cache_clear()
    athena.forget()
