"""Which tests share a process when several processes test: what is dear to set up is set up once."""

from __future__ import annotations

from collections import defaultdict

import pytest

SHARED = ("stack", "engines", "server")
"""Fixtures of the session that take long, the longest first: all modules that use one stay together, in this order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    fixtures = defaultdict(set)
    for item in items:
        fixtures[item.path].update(getattr(item, "fixturenames", ()))
    groups = {path: next((name for name in SHARED if name in used), str(path)) for path, used in fixtures.items()}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))
    # What takes longest begins first, so that the processes end together.
    order = {name: number for number, name in enumerate(SHARED)}
    items.sort(key=lambda item: order.get(groups[item.path], len(SHARED)))
