"""Whatever reads CSV says which words are missing values: the defaults of the libraries are names of users too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("containers", "functions", "demo", "localaws", "console", "tools", "benchmarks")
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py") if "build" not in file.parts)
PANDAS_OR_ARROW = {"read_csv", "read_table", "read_fwf", "read_excel", "open_csv"}


def without_words(source: str) -> list[int]:
    """Return the lines that read CSV with the words of a library."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            given = {keyword.arg for keyword in node.keywords}
            explicit = {"convert_options", "keep_default_na"} & given
            if name in PANDAS_OR_ARROW and not explicit and "pq." not in ast.unparse(node.func):
                found.append(node.lineno)
            if name == "ConvertOptions" and "null_values" not in given:
                found.append(node.lineno)
        # SQL of DuckDB.
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if ("read_csv(" in text or "read_csv_auto(" in text) and "nullstr" not in source:
            found.append(node.lineno)
    return found


def test_every_reader_of_csv_says_what_is_missing() -> None:
    found = {str(file.relative_to(ROOT)): without_words(file.read_text(encoding="utf-8")) for file in FILES}
    assert {file: lines for file, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "pd.read_csv(file)",
        "pyarrow.csv.read_csv(file)",
        "csv.open_csv(file, read_options=read)",
        "csv.ConvertOptions(strings_can_be_null=True)",
        "sql = f\"SELECT * FROM read_csv('{file}')\"",
    ],
)
def test_a_reader_that_does_not_is_found(source: str) -> None:
    assert without_words(source) == [1]


def test_readers_are_there() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    assert text.count("ConvertOptions(") >= 4
