"""The region in which the demo runs: one that is already running, or one of its own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.commands import run
from demo.errors import DemoError

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ISOLATION = {
    # Neither a profile nor an instance role of the person at the terminal may leak into the demo, or the demo to them.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAM_CLI_POLL_DELAY": "0.2",  # seconds; 5 suit stacks that take minutes
}


@contextmanager
def region(home: Path, logs: Path, *, keep: bool) -> Iterator[None]:
    """Use the region at `home` if it is running; else start one there and stop it when the block ends, however it ends.

    Inside the block the ``AWS_*`` variables of this process, and so boto3 and sam, point to that region only.

    Parameters
    ----------
    home : Path
        Folder of the region's files.
    logs : Path
        Folder for the output of the commands.
    keep : bool
        Leave a region that was started here running.
    """
    with _isolated():
        environment = _environment_of(home)
        is_new = environment is None
        failed = True
        try:
            os.environ.update(_start(home, logs, keep=keep) if environment is None else environment)
            yield
            failed = False
        finally:
            if is_new and (failed or not keep):
                # A second, impatient Ctrl-C must not leave the region and its jobs behind.
                previous = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTIONS}
                try:
                    run(_localaws("down", home), logs / "region-down.log")
                except DemoError as error:
                    # What failed in the block is what a person must read. What succeeded in it has not failed by this.
                    if not failed:
                        print(error, file=sys.stderr)
                for number, handler in previous.items():
                    signal.signal(number, handler)


def is_running(home: Path) -> bool:
    """Return whether a region runs at `home`."""
    return _environment_of(home) is not None


@contextmanager
def _isolated() -> Iterator[None]:
    before = dict(os.environ)
    try:
        for name in before:
            if name.startswith("AWS_"):
                del os.environ[name]
        os.environ.update(_ISOLATION)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _start(home: Path, logs: Path, *, keep: bool) -> dict[str, str]:
    # Even if this process is killed, its region does not stay.
    owner = () if keep else ("--owner", str(os.getpid()))
    run(_localaws("up", home, "--port", "0", *owner), logs / "region-up.log")
    environment = _environment_of(home)
    if environment is None:
        raise DemoError("The region ended.", "It had just started.", f"Look into {home / 'region.log'}.")
    return environment


def _environment_of(home: Path) -> dict[str, str] | None:
    """Variables that point to the running region, from ``python -m localaws env``; None if none is running."""
    answer = subprocess.run(_localaws("env", home), capture_output=True, text=True, check=False)
    if answer.returncode:
        return None
    return dict(word.split("=", 1) for word in shlex.split(answer.stdout) if "=" in word)


def _localaws(command: str, home: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "localaws", command, "--home", str(home), *options]
