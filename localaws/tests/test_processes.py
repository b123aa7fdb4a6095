"""Child processes and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaws import processes


@pytest.fixture(autouse=True)
def _no_child_survives() -> Iterator[None]:
    yield
    processes.stop_all(grace_seconds=0.1)


def start(tmp_path: Path, code: str, name: str = "child") -> subprocess.Popen[bytes]:
    return processes.spawn(
        [sys.executable, "-u", "-c", code],
        cwd=tmp_path,
        environment={"GREETING": "hello"},
        log_path=tmp_path / "logs" / f"{name}.log",
        kind="training",
        name=name,
    )


def wait_for_line(path: Path, text: str) -> None:
    while text not in path.read_text():
        os.sched_yield()


def is_alive(pid: int) -> bool:
    """Return whether a process runs. A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_child_has_its_own_environment_group_and_log(tmp_path: Path) -> None:
    child = start(tmp_path, "import os; print(sorted(os.environ), os.getpgrp() == os.getpid(), os.getcwd())")
    assert child.wait() == 0
    logged = (tmp_path / "logs" / "child.log").read_text()
    assert "GREETING" in logged
    assert "HOME" not in logged
    assert f"True {tmp_path}" in logged


def test_running_lists_children_until_they_end(tmp_path: Path) -> None:
    child = start(tmp_path, "import sys, time; print('up'); time.sleep(600)", "long")
    assert ("training", "long", child.pid, str(tmp_path / "logs" / "long.log")) in processes.running()
    processes.stop(child, 5)
    assert child.pid not in [entry.pid for entry in processes.running()]


def test_stop_gives_the_child_its_chance_to_end_cleanly(tmp_path: Path) -> None:
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print("ready")
time.sleep(600)
"""
    child = start(tmp_path, code)
    wait_for_line(tmp_path / "logs" / "child.log", "ready")
    assert processes.stop(child, 30) == 143


def test_stop_kills_a_child_that_ignores_the_signal(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(600)"
    child = start(tmp_path, code)
    wait_for_line(tmp_path / "logs" / "child.log", "ready")
    assert processes.stop(child, 0.05) == -signal.SIGKILL


def test_stop_also_ends_grandchildren(tmp_path: Path) -> None:
    code = """
import subprocess, sys, time
stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ok', flush=True); time.sleep(600)"
grandchild = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
grandchild.stdout.readline()
print("grandchild", grandchild.pid, "ready")
time.sleep(600)
"""
    child = start(tmp_path, code)
    log = tmp_path / "logs" / "child.log"
    wait_for_line(log, "ready")
    grandchild = int(log.read_text().split()[1])
    processes.stop(child, 5)
    while is_alive(grandchild):  # pytest-timeout ends this loop
        os.sched_yield()


def test_a_child_that_has_ended_keeps_its_exit_code(tmp_path: Path) -> None:
    child = start(tmp_path, "raise SystemExit(7)")
    child.wait()
    assert processes.stop(child, 1) == 7


def test_stop_all_ends_every_child(tmp_path: Path) -> None:
    children = [start(tmp_path, "import time; time.sleep(600)", f"child-{number}") for number in range(3)]
    processes.stop_all(grace_seconds=60)
    assert [child.returncode for child in children] == [-signal.SIGTERM] * 3
    assert processes.running() == []


def test_no_child_starts_when_all_have_been_stopped_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_closed", threading.Event())
    child = start(tmp_path, "import time; time.sleep(600)")
    processes.close()
    assert child.returncode == -signal.SIGTERM
    with pytest.raises(OSError, match="ending"):
        start(tmp_path / "later", "pass")
    assert not (tmp_path / "later").exists()
    assert processes.running() == []


def test_a_program_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        processes.spawn(
            ["no-such-program"], cwd=tmp_path, environment={}, log_path=tmp_path / "log", kind="training", name="x"
        )
