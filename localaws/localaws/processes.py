"""The child processes of the region: jobs, endpoints, builds and functions.

Each child has its own process group, so that stopping it also stops what it has started. It is registered until it
ends, so that the region can list its children and leaves none behind. A region that is killed cannot end its children:
the next command finds them by the variable ``LOCALAWS_HOME`` of their environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from localaws.settings import HOME_VARIABLE

CLOSING_GRACE_SECONDS = 1.5
"""Time for a child to end by itself when the region stops. Nobody waits for the model of a job that ends then."""


class Running(NamedTuple):
    """A running child: what it is, its name, process id and log file."""

    kind: str
    name: str
    pid: int
    log: str


_children: dict[int, tuple[subprocess.Popen[bytes], Running]] = {}
_lock = threading.Lock()
_closed = threading.Event()


def spawn(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log_path: Path,
    kind: str,
    name: str,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own and register it until it ends.

    Parameters
    ----------
    argv
        The program and its arguments.
    cwd
        Working directory.
    environment
        The complete environment of the child. Nothing is inherited.
    log_path
        File to which standard output and standard error are appended.
    kind, name
        What `running` reports, such as ``training`` and the name of the job.
    stdin
        File descriptor of the child's standard input. Default: an empty input.

    Raises
    ------
    OSError
        The program cannot be started, or the region is ending.
    """
    with _lock:
        if _closed.is_set():
            raise OSError("The region is ending.")
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=dict(environment),
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _children[process.pid] = process, Running(kind, name, process.pid, str(log_path))
    return process


def running() -> list[Running]:
    """List the running children, the oldest first."""
    with _lock:
        for pid in [pid for pid, (process, _) in _children.items() if process.poll() is not None]:
            del _children[pid]
        return [child for _, child in _children.values()]


def stop(process: subprocess.Popen[bytes], grace_seconds: float) -> int:
    """Stop a child and everything that it started: SIGTERM to its group, SIGKILL after the grace period.

    Returns
    -------
    int
        Exit code of the child; negative if a signal ended it.
    """
    signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_seconds)
    # Also if the child has ended: its own children are in the group and may have ignored SIGTERM.
    signal_group(process, signal.SIGKILL)
    exit_code = process.wait()
    with _lock:
        _children.pop(process.pid, None)
    return exit_code


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the process group of a child, if it still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def close() -> None:
    """Stop all children for good: a job or an execution that still goes on cannot start another one."""
    with _lock:
        _closed.set()
    stop_all(CLOSING_GRACE_SECONDS)


def stop_all(grace_seconds: float) -> None:
    """Stop all registered children at the same time."""
    with _lock:
        processes = [process for process, _ in _children.values()]
    threads = [threading.Thread(target=stop, args=(process, grace_seconds)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def of_home(home: Path) -> list[psutil.Process]:
    """List the region of a home and all that it has started, also after the region has died; not this process."""
    found = []
    for process in psutil.process_iter():
        # Processes of others cannot be read; those of this user may end at any time.
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(HOME_VARIABLE) == str(home) and process.pid != os.getpid():
                found.append(process)
    return found


def end(found: Sequence[psutil.Process], grace_seconds: float) -> bool:
    """End processes by SIGTERM, by SIGKILL after the grace period; return whether SIGTERM was enough for all."""
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    limit = time.monotonic() + grace_seconds
    while (alive := [process for process in found if _runs(process)]) and time.monotonic() < limit:
        time.sleep(0.02)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return not alive


def _runs(process: psutil.Process) -> bool:
    # A zombie has ended; its parent has not collected it yet.
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
