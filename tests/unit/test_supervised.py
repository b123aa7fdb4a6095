"""Programs that the demo and the benchmarks start end with their starter, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from patience import patient

from demo.commands import run, started
from demo.errors import DemoError

ROOT = Path(__file__).parents[2]
DEMO = """
import sys, time
from pathlib import Path
from demo.commands import started
with started(["sleep", "602"], Path(sys.argv[1])):
    print("started", flush=True)
    time.sleep(600)
"""
BENCHMARK = """
import sys, time
from pathlib import Path
from benchmarks.server_process import running
with running(Path(sys.argv[1]).parent, "benchmarks.discarding_server"):
    print("started", flush=True)
    time.sleep(600)
"""


def below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("code", "programs"), [pytest.param(DEMO, 1, id="demo"), pytest.param(BENCHMARK, 3, id="benchmark")]
)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_programs_end_with_their_starter(code: str, programs: int, number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "started\n"
        found = below(starter.pid)
        end = time.monotonic() + patient(60)
        while len(found) < 1 + programs:  # the supervisor, the program and its workers
            assert time.monotonic() < end
            found = below(starter.pid)
        starter.send_signal(number)
    while any(map(runs, found)):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_program_runs_to_its_end(tmp_path: Path) -> None:
    assert run(["sh", "-c", "cat; echo done; echo also >&2"], tmp_path / "logs/log") == "done\nalso\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["sh", "-c", "echo why; exit 7"], "`sh -c echo why; exit 7` failed with exit code 7.\nwhy"),
        (["sh", "-c", "kill -9 $$"], "failed with exit code 137."),
        (["no-such-program"], "`no-such-program` failed with exit code 127.\nno-such-program: No such file"),
    ],
)
def test_a_program_that_fails_is_named(argv: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DemoError) as failed:
        run(argv, tmp_path / "log")
    assert message in str(failed.value)


def test_a_program_ends_with_the_block(tmp_path: Path) -> None:
    with started(["sleep", "602"], tmp_path / "log") as process:
        while not (programs := below(process.pid)):
            time.sleep(0.02)
        found = [psutil.Process(process.pid), *programs]
    assert not any(map(runs, found))
