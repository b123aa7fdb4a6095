"""A load generator: so many clients, each with a connection of its own, sending one request after the other."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import numpy as np

LOCALHOST = "127.0.0.1"


class Load(NamedTuple):
    """What a load showed: answers per second, and percentiles of the time to an answer in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float


def run(port: int, body: bytes, clients: int, seconds: float) -> Load:
    """Send a request to ``/invocations`` over and over for some seconds.

    Raises
    ------
    RuntimeError
        An answer is not 200.
    """
    request = (
        b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    return asyncio.run(_run(port, request, clients, seconds))


async def _run(port: int, request: bytes, clients: int, seconds: float) -> Load:
    begin = time.perf_counter()
    taken = await asyncio.gather(*(_client(port, request, begin + seconds) for _ in range(clients)))
    passed = time.perf_counter() - begin
    times = np.concatenate(taken) * 1000
    return Load(len(times) / passed, float(np.percentile(times, 50)), float(np.percentile(times, 99)))


async def _client(port: int, request: bytes, end: float) -> list[float]:
    reader, writer = await asyncio.open_connection(LOCALHOST, port)
    taken: list[float] = []
    try:
        while (sent := time.perf_counter()) < end or not taken:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            answer = await reader.readexactly(int(length.partition(b":")[2]))
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{head.decode()}{answer.decode()[:500]}")
            taken.append(time.perf_counter() - sent)
    finally:
        writer.close()
    return taken
