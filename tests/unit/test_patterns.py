r"""Patterns end where the text ends: in Python ``$`` lets a newline follow, ``\Z`` and ``fullmatch`` do not."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.shared.json_schema import Validator

ROOT = Path(__file__).parents[2]
MODULES = [
    file
    for folder in ("containers", "functions", "demo", "localaws", "console", "tools")
    for file in (ROOT / folder).rglob("*.py")
]
SCHEMAS = [*(ROOT / "statemachine").glob("*.schema.json"), *(ROOT / "functions/shared").glob("*.schema.json")]
FUNCTIONS = {
    "compile",
    "match",
    "search",
    "fullmatch",
    "sub",
    "subn",
    "split",
    "findall",
    "finditer",
    "match_substring_regex",
}
END = re.compile(r"(?<!\\)\$")


def loose_ends(source: str) -> Iterator[str]:
    """Yield the calls whose pattern has a ``$`` and no flag that makes it the end of a line."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FUNCTIONS):
            continue
        text = ast.unparse(node)
        owner = ast.unparse(node.func.value)
        if owner not in {"re", "regex", "pc"} or "re.M" in text or "(?m)" in text:
            continue
        pattern = node.args[1 if owner == "pc" else 0]
        pieces = [
            piece.value
            for piece in ast.walk(pattern)
            if isinstance(piece, ast.Constant) and isinstance(piece.value, str)
        ]
        if any(END.search(piece) for piece in pieces):
            yield text


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_pattern_lets_a_newline_follow(file: Path) -> None:
    assert list(loose_ends(file.read_text(encoding="utf-8"))) == []


def test_a_loose_end_is_found() -> None:
    assert list(loose_ends('import re\nre.search(r"a$", text)')) == ["re.search('a$', text)"]
    assert list(loose_ends('import re\nre.search(r"\\${x}", text); re.findall("^a$", text, re.MULTILINE)')) == []


def patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for value in node.values():
            yield from patterns(value)
    elif isinstance(node, list):
        for value in node:
            yield from patterns(value)


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.name)
def test_the_patterns_of_a_schema_end_with_the_text(file: Path) -> None:
    for pattern in patterns(json.loads(file.read_text(encoding="utf-8"))):
        assert not END.search(pattern[:-1]), pattern  # the validator reads a `$` at the end alone
        text = next((text for text in EXAMPLES if re.search(pattern, text)), None)
        if text is not None and pattern.endswith("$"):
            assert Validator({"pattern": pattern}).is_valid(text)
            assert not Validator({"pattern": pattern}).is_valid(text + "\n"), pattern
            assert not Validator({"pattern": pattern}).is_valid(text + "\nx"), pattern


EXAMPLES = [
    "2026-11-24",
    "2026-11-24T00:00:00Z",
    "2026-11-24T00:00:00",
    "s3://bucket/key.csv",
    "ml.m5.xlarge",
    "abc",
    "a" * 32,
]


def test_digits_are_ascii() -> None:
    assert not Validator({"pattern": r"^\d+$"}).is_valid("٢٠٢٦")
    assert Validator({"pattern": r"^\d+$"}).is_valid("2026")
    assert list(Validator({"pattern": "a"}).iter_errors(5)) == []
