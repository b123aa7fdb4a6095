"""A batch transform as SageMaker makes one: JSON lines, cut into payloads, through the serving image's process."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

from benchmarks.http_load import LOCALHOST
from benchmarks.server_process import running

PAYLOAD_BYTES = 6 * 2**20
CONCURRENT = 4
"""Defaults of the execution input."""


def serving(opt_ml: Path) -> AbstractContextManager[tuple[int, psutil.Process]]:
    """Serve the model below a folder as in a batch transform; yields port and process."""
    mebibytes = str(PAYLOAD_BYTES // 2**20)
    return running(opt_ml, "visitcast", "serve", SAGEMAKER_BATCH="true", SAGEMAKER_MAX_PAYLOAD_IN_MB=mebibytes)


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
