"""docs/reliability.md names tests that exist, and every state in which a run fails."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
FILES = {
    file.name: file
    for folder in ("tests", "localaws/tests", "console/tests")
    for file in (ROOT / folder).rglob("test_*.py")
}
TEST = re.compile(r"`(test_\w+)`")
FILE = re.compile(r"`(?:[\w/]+/)?(test_\w+\.py)`|the same file|that test")


def rows() -> Iterator[tuple[str, str, list[str]]]:
    """Yield each test that is named, its file, and the cells of its row. A file stands after its tests."""
    current = ""
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|") or len(cells) < 3 or cells[0] in {"---", "Fault", "State"}:
            continue
        waiting: list[str] = []
        for found in re.finditer(rf"{TEST.pattern}|{FILE.pattern}", cells[-1]):
            if found[1]:
                waiting.append(found[1])
            else:
                current = found[2] or current
                yield from ((test, current, cells) for test in waiting)
                waiting = []
        assert not waiting, f"no file is named for {waiting}"
        assert FILE.search(cells[-1]), f"no test is named: {line}"


NAMED = [(test, file) for test, file, _ in rows()]


def test_rows_are_read() -> None:
    assert len(NAMED) > 100


@pytest.mark.parametrize("file", sorted({file for _, file in NAMED}))
def test_every_test_that_is_named_exists(file: str) -> None:
    tree = ast.parse(FILES[file].read_text(encoding="utf-8"))
    there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert {test for test, where in NAMED if where == file} <= there


def fail_states(machine: dict[str, Any]) -> Iterator[str]:
    for name, state in machine["States"].items():
        if state["Type"] == "Fail":
            yield name
        for part in (*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])):
            yield from fail_states(part)


@pytest.mark.parametrize("machine", ["train", "forecast"])
def test_every_state_in_which_a_run_fails_has_a_row(machine: str) -> None:
    definition = json.loads((ROOT / f"statemachine/{machine}.asl.json").read_text(encoding="utf-8"))
    named = set(re.findall(r"\*\*([^*]+)\*\*", "\n".join(" ".join(cells[:1]) for _, _, cells in rows())))
    assert set(fail_states(definition)) - named == set()
