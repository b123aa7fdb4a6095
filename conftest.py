"""The region that clients without a call have, and which tests share a process when several processes test."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

# The handlers make their clients when they are imported.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")

SHARED = ("stack", "engines", "server")
"""Session fixtures that are slow to set up, slowest first. Modules that use the same one run in one process."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests by the slow fixture that they share."""
    fixtures = defaultdict(set)
    for item in items:
        fixtures[item.path].update(getattr(item, "fixturenames", ()))
    groups = {path: next((name for name in SHARED if name in used), str(path)) for path, used in fixtures.items()}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))
    # What takes longest begins first, so that the processes end together.
    order = {name: number for number, name in enumerate(SHARED)}
    items.sort(key=lambda item: order.get(groups[item.path], len(SHARED)))
