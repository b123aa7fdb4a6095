"""A batch transform as SageMaker makes one: JSON lines, cut into payloads, through the serving image's process."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.http_load import LOCALHOST
from benchmarks.pipeline import ROOT

PAYLOAD_BYTES = 6 * 2**20
CONCURRENT = 4
"""Both as the execution input's defaults."""


@contextmanager
def serving(opt_ml: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Serve the model below a folder; gives port and process."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "containers"),
        "OPT_ML_DIR": str(opt_ml),
        "SAGEMAKER_BIND_TO_PORT": "0",
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(PAYLOAD_BYTES // 2**20),
    }
    log = opt_ml / "serving.log"
    with log.open("wb") as out:
        process = psutil.Popen([sys.executable, "-m", "serving", "serve"], env=environment, stdout=out)
    try:
        yield _port(process, log), process
    finally:
        process.terminate()
        process.wait(timeout=60)


def _port(process: psutil.Popen, log: Path) -> int:
    while process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n") and (event := json.loads(line)).get("event") == "listening":
                return int(event["port"])
        try:
            process.wait(0.1)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            continue
    raise RuntimeError(f"The server did not start: {log.read_text(encoding='utf-8')[-2000:]}")


def transform(port: int, requests: Path, answers: Path) -> None:
    """Send every file of a folder through the model and write its answers beside it, as ``name.out``."""
    with ThreadPoolExecutor(CONCURRENT) as pool:
        for file in sorted(requests.iterdir()):
            with (answers / f"{file.name}.out").open("wb") as out:
                for body in pool.map(lambda payload: _ask(port, payload), payloads(file)):
                    out.write(body if body.endswith(b"\n") else body + b"\n")


def payloads(file: Path) -> Iterator[bytes]:
    """Cut a file into bodies of whole lines."""
    payload: list[bytes] = []
    size = 0
    with file.open("rb") as lines:
        for line in lines:
            if payload and size + len(line) > PAYLOAD_BYTES:
                yield b"".join(payload)
                payload, size = [], 0
            payload.append(line)
            size += len(line)
    if payload:
        yield b"".join(payload)


def _ask(port: int, body: bytes) -> bytes:
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=600)
    try:
        headers = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}
        connection.request("POST", "/invocations", body, headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise RuntimeError(f"The model answered {answer.status}: {text[:500]!r}")
    return text
