"""Tests that share what is expensive to set up run in one process."""

from __future__ import annotations

import pytest


def test_pytest_xdist_knows_the_groups_of_the_conftest(request: pytest.FixtureRequest) -> None:
    """With ``--dist=loadgroup``, as in `make test`, pytest-xdist shows the group behind a test's name."""
    has_groups = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@tests/unit/test_groups.py") == has_groups
