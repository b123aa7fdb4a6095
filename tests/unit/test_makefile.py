"""Options of the commands in the Makefile."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from asl_lint import ROOT


@pytest.mark.parametrize(("given", "passed"), [(["PORT=4600"], "--port 4600"), ([], "")])
def test_up_takes_a_port(given: list[str], passed: str) -> None:
    printed = subprocess.run(
        ["make", "--dry-run", "up", *given], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    (line,) = [line for line in printed.splitlines() if "localaws up" in line]
    assert line.partition("build/localaws")[2].strip() == passed


@pytest.mark.parametrize(
    ("given", "stack", "in_the_region"),
    [([], "visitcast-local", True), (["ENVIRONMENT=dev"], "visitcast-dev", False)],
)
def test_the_console_shows_the_region_unless_an_environment_is_named(
    given: list[str], stack: str, in_the_region: bool
) -> None:
    printed = subprocess.run(
        ["make", "--dry-run", "console", *given], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert f"-m console --stack-name {stack}" in printed
    assert ("localaws env" in printed) == in_the_region


def test_down_installs_no_environment(tmp_path: Path) -> None:
    printed = subprocess.run(
        ["make", "--no-print-directory", "--file", ROOT / "Makefile", "down"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == "No region is running.\n"
    assert list(tmp_path.iterdir()) == []
