"""Options of the commands in the Makefile."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize(
    ("typed", "column"),
    [("--columns user_id=a|b", "a|b"), ("--columns 'user_id=$who;id'", "$who;id"), ("--columns user_id=`id`", "`id`")],
)
def test_what_is_typed_reaches_the_program_unread_by_make_and_shell(tmp_path: Path, typed: str, column: str) -> None:
    events = tmp_path / "it's $mine.csv"
    events.write_text("time,zone\n2026-11-20T08:15:00Z,Europe/Berlin\n")
    checked = subprocess.run(
        ["make", "--no-print-directory", "check-events", f"EVENTS={events}", f"EVENTS_ARGS={typed}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode != 0
    assert "user_id" in checked.stderr
    assert set(re.split(r"\|", column)) <= set(re.split(r"[\s|,.()]+", checked.stderr))


def test_check_events_asks_for_the_events() -> None:
    checked = subprocess.run(
        ["make", "--no-print-directory", "check-events"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "EVENTS=export.csv" in checked.stderr


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
