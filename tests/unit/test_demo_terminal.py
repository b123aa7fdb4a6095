"""What the demo prints shows foreign text and does not obey it; it ends with a sentence from its first second on."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import patient
from rich.table import Table

from demo import cli, disk
from demo.errors import DemoError
from demo.screen import Screen
from demo.terminal import SafeConsole

ROOT = Path(__file__).parents[2]
EVIL = "a\x1b]0;owned\x07\x1b[2Jb\x9b31m\u202ec"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_output_of_the_demo_obeys_foreign_text(is_terminal: bool) -> None:
    console = SafeConsole(
        file=io.StringIO(), width=200, force_terminal=is_terminal, color_system="standard" if is_terminal else None
    )
    table = Table()
    table.add_column(EVIL)
    table.add_row(EVIL)
    console.print(table)
    console.print(EVIL, "[red]red[/]", markup=True)
    console.print(f"FAILED\n{EVIL}", markup=False)
    with Screen(console) as screen, screen.step(EVIL):
        pass
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert printed.count("owned") >= 4
    assert "\\x1b]0;owned\\x1b[2Jb\\x9b31m\\u202ec" in printed  # rich leaves out the bell
    for act in ("\x1b]0", "\x07", "\x1b[2J", "\x9b", "\u202e"):
        assert act not in printed
    assert ("\x1b[31mred" in printed) is is_terminal


@pytest.mark.parametrize("seconds", [0.1, 0.4])
def test_an_interruption_in_the_first_seconds_is_no_traceback(seconds: float, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "demo", "--output", str(tmp_path / "output"), "--home", str(tmp_path / "home")]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=patient(60))
    assert process.returncode != 0
    if "Interrupted" in out + err:  # else Python itself had not begun
        assert "Traceback" not in out + err


def test_a_folder_that_may_not_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--output", str(tmp_path / "file" / "output")]) == 1
    printed = capsys.readouterr().out
    assert "file/output" in printed.replace("\n", "")
    assert "cannot be used." in printed
    assert "Not a directory." in printed
    assert "Traceback" not in printed


def test_a_full_disk_is_told_beside_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_console: object) -> int:
        raise DemoError("`sam deploy` failed.", "Its end.", "Look.")

    monkeypatch.chdir(tmp_path)
    assert cli.interruptible(work) == 1
    assert "has only" not in capsys.readouterr().out
    monkeypatch.setattr(disk, "NEEDED_BYTES", 2**60)
    assert cli.interruptible(work) == 1
    printed = capsys.readouterr().out
    assert "`sam deploy` failed." in printed
    assert f"{tmp_path} has only " in printed.replace("\n", "")


def test_a_disk_without_room_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def work(_console: object) -> int:
        with Path("/dev/full").open("w", encoding="utf-8") as file:
            file.write("x")
        return 0

    assert cli.interruptible(work) == 1
    assert "A file cannot be used.\nNo space left on device." in capsys.readouterr().out
