"""Programs that judge: where `make judge` puts them, and what happens where one is missing."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from patience import patient

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/judges"
BIN = BUILD / "python/bin"


def missing(reason: str) -> NoReturn:
    """Skip a test whose program is missing; in CI fail it, where all of them must be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def server(
    command: list[str], log: Path, is_ready: Callable[[], bool], environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server while the context is open; enter when it is ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=log.parent, env={**os.environ, **(environment or {})}, stdout=output, stderr=output
        )
    try:
        end = time.monotonic() + patient(180)
        while not is_ready():
            printed = log.read_text(encoding="utf-8", errors="replace")[-3000:]
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}:\n{printed}"
            assert time.monotonic() < end, f"{command[0]} is not ready:\n{printed}"
            time.sleep(0.5)
        yield
    finally:
        process.terminate()
        try:
            process.wait(patient(20))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url: str, wanted: bytes = b"") -> bool:
    """Return whether a server answers with text that contains `wanted`."""
    try:
        with urllib.request.urlopen(url, timeout=patient(5)) as response:
            return wanted in response.read()
    except (OSError, urllib.error.URLError):
        return False
