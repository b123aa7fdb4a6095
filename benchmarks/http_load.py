"""A load generator: a number of clients, each with a connection of its own, send one request after the other.

It shares the machine with the server that it loads, so it must cost little: a protocol instead of streams, the request
written once, and of an answer only the status and the length read.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import NamedTuple, cast

import numpy as np
import uvloop

LOCALHOST = "127.0.0.1"
_HEAD_END = b"\r\n\r\n"
_content_length = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE).search


class Load(NamedTuple):
    """Results of a load: answers per second, and percentiles of the time to an answer in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float


def run(port: int, body: bytes, clients: int, seconds: float) -> Load:
    """Send a request to ``/invocations`` over and over for some seconds.

    Raises
    ------
    RuntimeError
        An answer is not 200.
    ConnectionError
        The server closed a connection.
    """
    request = (
        b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    return uvloop.run(_run(port, request, clients, seconds))


async def _run(port: int, request: bytes, clients: int, seconds: float) -> Load:
    begin = time.perf_counter()
    taken = await asyncio.gather(*(_client(port, request, begin + seconds) for _ in range(clients)))
    passed = time.perf_counter() - begin
    times = np.concatenate(taken) * 1000
    return Load(len(times) / passed, float(np.percentile(times, 50)), float(np.percentile(times, 99)))


async def _client(port: int, request: bytes, end: float) -> list[float]:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[list[float]] = loop.create_future()
    transport, _ = await loop.create_connection(lambda: _Client(request, end, ended), LOCALHOST, port)
    try:
        return await ended
    finally:
        transport.close()


class _Client(asyncio.Protocol):
    """Sends the request; again when its answer has come, until the end."""

    def __init__(self, request: bytes, end: float, ended: asyncio.Future[list[float]]) -> None:
        self._request = request
        self._end = end
        self._ended = ended
        self._taken: list[float] = []
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        # An answer usually arrives in one piece, so there is rarely anything to join.
        self._answer = self._answer + data if self._answer else data
        head, separator, rest = self._answer.partition(_HEAD_END)
        if not separator:
            return
        length = _content_length(head + b"\r\n")
        if length is None:
            self._fail(RuntimeError(f"An answer without Content-Length: {head.decode()}"))
        elif len(rest) >= int(length[1]):
            self._answered(head, rest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("The server closed the connection."))

    def _send(self) -> None:
        self._answer = b""
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def _answered(self, head: bytes, body: bytes) -> None:
        now = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(RuntimeError(f"{head.decode()}\n{body.decode()[:500]}"))
            return
        self._taken.append(now - self._sent)
        if now < self._end:
            self._send()
        else:
            self._ended.set_result(self._taken)

    def _fail(self, error: Exception) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)
