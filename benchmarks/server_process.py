"""Runs the serving image's server, or one like it, during a benchmark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from benchmarks.pipeline import ROOT
from demo import supervised

POLL_SECONDS: Final = 0.005


@contextmanager
def running(opt_ml: Path, *module: str, **environment: str) -> Iterator[tuple[int, psutil.Process]]:
    """Serve the model below a folder, until the block or this process ends, however it ends.

    Its log goes to a file: a pipe would need a reader, which takes time from the clients.

    Parameters
    ----------
    opt_ml : Path
        Folder with ``model``; the log goes there.
    module : str
        Module to run, and its arguments.
    **environment : str
        More variables of the process.

    Yields
    ------
    port : int
    process : psutil.Process

    Raises
    ------
    RuntimeError
        It ended before it listened.
    """
    log = opt_ml / "serving.log"
    with log.open("wb") as out:
        supervisor = subprocess.Popen(
            supervised.command([sys.executable, "-m", *module]),
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "OPT_ML_DIR": str(opt_ml),
                "SAGEMAKER_BIND_TO_PORT": "0",
                "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
                **environment,
            },
            stdout=out,
        )
    try:
        port = _port(supervisor, log)
        (server,) = psutil.Process(supervisor.pid).children()
        yield port, server
    finally:
        # It may have ended, as the error says.
        for process in _children(supervisor.pid):
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        supervisor.wait(timeout=60)
        if supervisor.stdin:
            supervisor.stdin.close()


def _children(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return list(psutil.Process(pid).children())
    return []


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    while process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n") and (event := json.loads(line)).get("event") == "listening":
                return int(event["port"])
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    raise RuntimeError(f"The server did not start: {log.read_text(encoding='utf-8')[-2000:]}")
