"""Commands of a checkout that are interrupted at a step, and what they leave running.

What is left is found without the project's own means: by a variable that every process of a checkout inherits, by the
checkout's folder, which is in the command line, working folder or environment of all that a region starts, and by the
ports on which any of them listened.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from benchmarks.pipeline import ROOT

SMALL: Final = "--users 60 --days 60 --hyperparameter epochs=2 --hyperparameter units=8"
REACHED_SECONDS: Final = 240.0
ENDED_SECONDS: Final = 90.0
GONE_SECONDS: Final = 20.0
"""A region looks every second whether its demo has ended, and then stops what it runs."""
POLL_SECONDS: Final = 0.02
SAID: Final = "Interrupted: "
_MARK: Final = "CHECKOUT_UNDER_TEST"


class Sign(NamedTuple):
    """What shows that a step has begun: text in the output, a file, or a process that has this in its command line."""

    output: str = ""
    file: str = ""
    process: str = ""
    cpu_seconds: float = 0.0
    """That the process has used."""


class Point(NamedTuple):
    """A command, a step of it, a signal, and who gets it: ``all``, as from a terminal, the ``program``, or ``make``."""

    command: str
    step: str
    signal: signal.Signals
    to: str = "all"

    @property
    def is_kill(self) -> bool:
        """Whether the interrupted program cannot stop anything itself."""
        return self.signal == signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.command}, {self.step}, {self.signal.name} to {self.to}"


class Outcome(NamedTuple):
    """What an interruption led to; `wrong` says what is not as it should be, and is empty otherwise."""

    point: Point
    status: int
    seconds: float
    output: str
    wrong: list[str]


COMMANDS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "demo": (("make", "demo", f"DEMO_ARGS={SMALL}"), "-m demo "),
    "forecast": (("make", "forecast", f"DEMO_ARGS={SMALL}"), "-m demo.forecast_run"),
    "lift": (("make", "lift", f"LIFT_ARGS={SMALL} --dates 4"), "-m demo.lift_run"),
    "up": (("make", "up", "PORT=0"), "-m localaws up"),
    "console": (("make", "console", "CONSOLE_ARGS=--port 0"), "-m console"),
    "console of an account": (("make", "console", "ENVIRONMENT=dev", "CONSOLE_ARGS=--port 0"), "-m console"),
    "region": ((sys.executable, "-m", "localaws", "serve", "--port", "0"), "-m localaws serve"),
    "the demo's region": (("make", "demo", f"DEMO_ARGS={SMALL}"), "-m localaws serve"),
}
"""The words of each command, and what the command line of its program has."""

STEPS: Final[Mapping[str, Sign]] = {
    # Before, Python is starting, and answers Ctrl-C with a traceback of its own.
    "begins": Sign(process="-m demo", cpu_seconds=0.15),
    "sam build": Sign(process="sam build"),
    "the region is starting": Sign(process="-m localaws serve"),
    "the region has started": Sign(file="build/localaws/region.json"),
    "sam deploy": Sign(process="sam deploy"),
    "events are uploaded": Sign(output="✓ sam deploy"),
    "Preprocess": Sign(output="… Preprocess"),
    "Train": Sign(output="… Train"),
    "Evaluate": Sign(output="… Evaluate"),
    "the endpoint starts": Sign(process="visitcast serve"),
    "Build requests": Sign(output="… Build requests"),
    "Forecast": Sign(process="visitcast serve"),
    "Plan sends": Sign(process="visitcast plan"),
    "the experiment": Sign(output="Pushes to "),
    "it answers": Sign(output="http://127.0.0.1"),
    "up begins": Sign(process="-m localaws up", cpu_seconds=0.08),
}


class Checkout:
    """The project's files in a folder of their own, in which commands run and can be found.

    Parameters
    ----------
    folder : Path
        To be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = secrets.token_hex(16)
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout
        for name in filter(None, listed.decode().split("\0")):
            if (ROOT / name).is_file():  # not yet committed as deleted
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(ROOT / ".venv")

    def start(self, words: Iterable[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a command as a terminal does, in a process group of its own."""
        words = list(words)
        # The environment is as old as that of the project, whose it is.
        words[1:1] = ["--old-file=.venv/.ready", "--no-print-directory"] if words[0] == "make" else []
        handed_down = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "EVENTS")
        with log.open("wb") as out:
            return subprocess.Popen(
                words,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_heed_signals,
                env={**{k: v for k, v in os.environ.items() if k not in handed_down}, _MARK: self._mark},
            )

    def run(self, *words: str) -> str:
        """Run a command to its end; return what it printed."""
        log = self.folder / "build/run.log"
        log.parent.mkdir(exist_ok=True)
        status = self.start(words, log).wait()
        printed = log.read_text(errors="replace")
        if status:
            raise RuntimeError(f"{' '.join(words)} failed with {status}:\n{printed[-3000:]}")
        return printed

    def processes(self) -> list[psutil.Process]:
        """Return all processes that come from this checkout."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                texts = [*process.cmdline(), process.cwd(), *process.environ().values()]
                if any(self._mark in text or str(self.folder) in text for text in texts):
                    found.append(process)
        return found

    def interrupt(self, point: Point, patience: float = 1.0) -> Outcome:
        """Start a command, interrupt it when a step has begun, and look what is left when it has ended.

        After a kill, ``make down`` comes first. A region that ran before may stay, with what it ran and its functions.
        """
        words, program = COMMANDS[point.command]
        log = self.folder / "build/interrupted.log"
        log.parent.mkdir(exist_ok=True)
        before = {process.pid for process in self.processes()}
        if not before:
            (self.folder / "build/localaws/region.json").unlink(missing_ok=True)
        began = time.monotonic()
        command = self.start(words, log)
        while not (reached := self._has_begun(STEPS[point.step], log, before)) and command.poll() is None:
            if time.monotonic() - began > patience * REACHED_SECONDS:
                break
            time.sleep(POLL_SECONDS)
        wrong = [] if reached else ["the step was not reached"]
        ports = _ports([process for process in self.processes() if process.pid not in before])
        for process in self._addressed(point, command, program):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(point.signal)
        try:
            command.wait(patience * ENDED_SECONDS)
        except subprocess.TimeoutExpired:
            wrong.append(f"it had not ended after {patience * ENDED_SECONDS:g} s")
        if point.is_kill:
            self.run("make", "down")
            before = set()
        wrong += self._left(patience, ports, before)
        output = log.read_text(errors="replace")
        wrong += _untrue(point, command.poll(), output)
        self._clear(command, before)
        return Outcome(point, command.returncode, time.monotonic() - began, output, wrong)

    def _has_begun(self, sign: Sign, log: Path, before: set[int]) -> bool:
        if sign.output:
            return sign.output in log.read_text(errors="replace")
        if sign.file:
            return any(self.folder.glob(sign.file))
        return any(
            sign.process in _line(process) and _cpu_seconds(process) >= sign.cpu_seconds
            for process in self.processes()
            if process.pid not in before
        )

    def _addressed(self, point: Point, command: subprocess.Popen[bytes], program: str) -> list[psutil.Process]:
        ours = self.processes()
        if point.to == "make":
            return [process for process in ours if process.pid == command.pid]
        if point.to == "program":
            return [process for process in ours if program in _line(process)][:1]
        # Those of its group one after the other, as the kernel does.
        return [process for process in ours if _group(process.pid) == command.pid]

    def _left(self, patience: float, ports: set[int], before: set[int]) -> list[str]:
        end = time.monotonic() + patience * GONE_SECONDS
        while (left := self._new(before)) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        found = [f"it left process {process.pid}: {_line(process)[-120:]}" for process in left]
        return found + [f"port {port} is still open" for port in ports if _answers(port)]

    def _new(self, before: set[int]) -> list[psutil.Process]:
        functions = "lambda_runtime" if before else None
        return [
            process
            for process in self.processes()
            if process.pid not in before and not (functions and functions in _line(process))
        ]

    def _clear(self, command: subprocess.Popen[bytes], before: set[int]) -> None:
        """End what is left, so that the next point begins with nothing."""
        for process in self._new(before):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        command.wait()


def _untrue(point: Point, status: int | None, output: str) -> list[str]:
    """Say what is wrong with an exit status and a message."""
    if point.is_kill:
        return []
    wrong = ["it printed a traceback"] if "Traceback" in output else []
    if status == 0 and point.command != "region":  # a server that ends when it is told to has succeeded
        wrong.append("its exit status is 0")
    says_so = point.command in ("demo", "forecast", "lift", "up") and not point.step.endswith("begins")
    if says_so and SAID not in output:
        wrong.append("it does not say that it was interrupted")
    return wrong


def _heed_signals() -> None:
    # A shell without a terminal lets programs in the background ignore some of them.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _line(process: psutil.Process) -> str:
    with suppress(psutil.Error, OSError):
        return " ".join(process.cmdline()) + " "
    return ""


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _ports(processes: list[psutil.Process]) -> set[int]:
    ports = set()
    for process in processes:
        with suppress(psutil.Error, OSError):
            ports |= {
                connection.laddr.port
                for connection in process.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN
            }
    return ports


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
