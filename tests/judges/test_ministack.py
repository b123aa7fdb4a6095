"""MiniStack, an interpreter of its own, runs every case of the mock file as the local region does.

Its history does not have the states within a Map or a Parallel, so these are not compared.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import cases
import pytest
from programs import BIN, answers, free_port, missing, server

Results = dict[tuple[str, str], dict[str, Any]]

THROWS_AGAIN = (
    "MiniStack throws the first mocked error again at every retry; the mocked response after it is never used"
)
LIMITS = {
    ("visitcast-train-mocked", "LaterRun"): THROWS_AGAIN,
    ("visitcast-train-mocked", "LaterRunInSubnets"): THROWS_AGAIN,
    ("visitcast-train-mocked", "EverythingOnServerless"): THROWS_AGAIN,
    ("visitcast-forecast-mocked", "HandedOver"): THROWS_AGAIN,
}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """What MiniStack makes of each case."""
    program = BIN / "ministack"
    if not program.is_file():
        missing("MiniStack: `make judge` installs it, from a package index that was not reached.")
    port, folder = free_port(), tmp_path_factory.mktemp("ministack")
    environment = {
        "GATEWAY_PORT": f"{port}",
        "SFN_MOCK_CONFIG": str(cases.FILE),
        "SFN_WAIT_SCALE": "0",
        "MINISTACK_REGION": "eu-central-1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    url = f"http://127.0.0.1:{port}"
    with server([str(program)], folder / "log", lambda: answers(f"{url}/_ministack/health"), environment):
        definitions = {name: cases.definition(name) for name, _ in cases.CASES}
        yield cases.run(url, cases.create(url, definitions))


@pytest.mark.parametrize(
    ("machine", "case"),
    [
        pytest.param(*case, marks=[pytest.mark.xfail(strict=True, reason=LIMITS[case])] if case in LIMITS else [])
        for case in cases.CASES
    ],
)
def test_a_case_ends_as_in_the_local_region(ours: Results, theirs: Results, machine: str, case: str) -> None:
    assert not cases.difference(ours[machine, case], theirs[machine, case], machine, inner=False)
