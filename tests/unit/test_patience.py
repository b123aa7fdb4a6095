"""Every time limit of a test has the factor of `patience`, so that a busy machine needs one variable."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from patience import VARIABLE

ROOT = Path(__file__).parents[2]
SOURCES = [file for folder in ("tests", "localaws/tests") for file in (ROOT / folder).rglob("*.py")]
FIXED = re.compile(r"\btimeout=[0-9]|\bmonotonic\(\) \+ [0-9]|_SECONDS = [0-9]|\.wait\([0-9]")


def test_no_time_limit_is_fixed() -> None:
    assert len(SOURCES) > 100
    lines = [(file.name, line) for file in SOURCES for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(name, line) for name, line in lines if FIXED.search(line)] == []


def test_the_factor_reaches_the_limits_of_the_tests_and_the_region() -> None:
    names = ("PYTEST_TIMEOUT", "LOCALAWS_PATIENCE")
    code = f"import conftest, os, patience; print(patience.patient(10), *map(os.environ.get, {names}))"
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", VARIABLE: "2.5"}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout.split() == ["25.0", "1500.0", "2.5"]
