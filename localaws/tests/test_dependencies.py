"""localaws imports the standard library, itself, and what its pyproject.toml declares."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def imported(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_every_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^\w.-]", text)[0].lower() for text in project["dependencies"]}
    modules = {name for source in (PROJECT / "localaws").rglob("*.py") for name in imported(source)}
    third_party = modules - sys.stdlib_module_names - {"localaws"}
    assert len(third_party) > 5
    owners = packages_distributions()
    assert {name for name in third_party if not declared & {owner.lower() for owner in owners[name]}} == set()
