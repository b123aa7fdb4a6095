"""What all tests share: their time limit, the region of clients, and which tests run in one process."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest
from patience import FACTOR, patient

# The handlers make their clients when they are imported.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")

ROOT = Path(__file__).parent
SHARED = ("stack", "started_region", "shared_region", "server")
"""Fixtures of the session that take long to set up, the longest first: all modules that use one stay together."""

# pytest-timeout reads the first when it is configured, `localaws up` and `localaws down` read the second.
os.environ.setdefault("PYTEST_TIMEOUT", str(patient(600)))
os.environ.setdefault("LOCALAWS_PATIENCE", str(FACTOR))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Do not import a module for doctests that it does not have: some load TensorFlow."""
    is_code = collection_path.suffix == ".py" and not collection_path.name.startswith("test_")
    return True if is_code and ">>>" not in collection_path.read_text(encoding="utf-8") else None


# First, because pytest-xdist reads the marks in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests by the fixture of the session that they use, and put the longest group first."""
    fixtures = defaultdict(set)
    for item in items:
        fixtures[item.path].update(getattr(item, "fixturenames", ()))
    groups = {
        path: next((name for name in SHARED if name in used), path.relative_to(ROOT).as_posix())
        for path, used in fixtures.items()
    }
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))
    order = {name: number for number, name in enumerate(SHARED)}
    items.sort(key=lambda item: order.get(groups[item.path], len(SHARED)))
