"""Run the command-line programs that the demo is made of, quiet unless they fail."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from demo import supervised
from demo.errors import DemoError

_SHOWN_LINES = 30
_GRACE_SECONDS = 10


@contextmanager
def started(
    argv: Sequence[str], log: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program with its output in a log file; on leaving, end it and its children if they still run.

    `environment` is added to that of this process. If this process is killed, they end too.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            supervised.command(argv),
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def finish(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for a program and return what it printed.

    Raises
    ------
    DemoError
        If it failed, with the last lines of its output.
    """
    code = process.wait()
    output = log.read_text(errors="replace")
    if code:
        assert isinstance(process.args, list)  # nosec B101 # for mypy: `started` gives a list
        name = " ".join(process.args[len(supervised.command(())) :][:3])
        raise DemoError(
            f"`{name}` failed with exit code {code}.",
            "\n".join(output.splitlines()[-_SHOWN_LINES:]),
            f"The whole output is in {log}.",
        )
    return output


def run(argv: Sequence[str], log: Path, environment: Mapping[str, str] = MappingProxyType({})) -> str:
    """Run a program to its end and return what it printed; raises as `finish` does."""
    with started(argv, log, environment) as process:
        return finish(process, log)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        _signal_until_it_ends(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()


def _signal_until_it_ends(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
            return
