"""Read the bodies of requests, within bounds of bytes and time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final

from visitcast.serving.errors import DisconnectedError, OverloadedError, RequestError
from visitcast.serving.limits import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

ARRIVAL_SECONDS: Final = 60
"""A body has to arrive within as long as SageMaker waits for an answer."""
RETRY_SECONDS: Final = 5
LARGE_BYTES_PER_SECOND: Final = 32 * 2**20
"""Of all large bodies of a worker together, those that are refused too: one of 6 MB takes 0.2 s, in which receiving it
and passing it on take some 25 ms of a core. So the event loop has time for small requests, however many others come."""


class Arriving:
    """Receives the messages of a request and knows whether its body has ended."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.has_ended = False

    async def __call__(self) -> Message:
        """Receive the next message."""
        message = await self._receive()
        self.has_ended = not message.get("more_body", False)
        return message


class Pace:
    """Lets bytes pass at a bounded rate, first come, first served.

    Parameters
    ----------
    bytes_per_second : float
        Rate.
    """

    def __init__(self, bytes_per_second: float) -> None:
        self._bytes_per_second = bytes_per_second
        self._free_at = 0.0

    async def passes(self, length: int) -> None:
        """Wait until all bytes before these have passed, as long as they take."""
        now = asyncio.get_running_loop().time()
        begin = max(now, self._free_at)
        self._free_at = begin + length / self._bytes_per_second
        await asyncio.sleep(begin - now)


class Bodies:
    """Reads bodies.

    Parameters
    ----------
    limits : Limits
        Bytes of a body, and of all that are being read.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0
        self._pace = Pace(LARGE_BYTES_PER_SECOND if limits.are_of_an_endpoint else math.inf)

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """Read the body of a request.

        Raises
        ------
        RequestError
            413: the body is larger than allowed. 408: it does not arrive.
        OverloadedError
            Too many bytes of other bodies wait for their end.
        DisconnectedError
            The client has closed the connection before the end.
        """
        if announced(headers) > self._limits.body_bytes:
            raise self._too_large()
        chunk, more = await _next(receive)
        if not more and len(chunk) <= self._limits.body_bytes:
            return chunk
        try:
            async with asyncio.timeout(ARRIVAL_SECONDS):
                return await self._rest(chunk, more, receive)
        except TimeoutError:
            raise RequestError("body", f"It did not arrive within {ARRIVAL_SECONDS} s.", status=408) from None

    async def _rest(self, chunk: bytes, more: bool, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        length = 0
        try:
            while True:
                chunks.append(chunk)
                length += len(chunk)
                self._held += len(chunk)
                if length > self._limits.body_bytes:
                    raise self._too_large()
                if self._limits.held_bytes is not None and self._held > self._limits.held_bytes:
                    raise OverloadedError(RETRY_SECONDS)
                if not more:
                    return b"".join(chunks)
                await self._pace.passes(len(chunk))
                chunk, more = await _next(receive)
        finally:
            self._held -= length

    async def drop_rest(self, arriving: Arriving) -> None:
        """Receive what is left of the body of a request that has its answer, as far as a body may be long.

        Many clients read an answer only when their whole body was taken.
        """
        left = self._limits.body_bytes
        with suppress(DisconnectedError, TimeoutError):
            async with asyncio.timeout(ARRIVAL_SECONDS):
                while left > 0 and not arriving.has_ended:
                    chunk, _ = await _next(arriving)
                    left -= len(chunk)
                    await self._pace.passes(len(chunk))

    def _too_large(self) -> RequestError:
        return RequestError("body", f"It is larger than {self._limits.body_bytes:,} bytes.", status=413)


def announced(headers: Mapping[bytes, bytes]) -> int:
    """Return the bytes of a body that its head announces; 0 if it does not."""
    length = headers.get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


async def gone(receive: Receive) -> None:
    """Wait until the client of a request whose body was read closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise DisconnectedError
    return message.get("body", b""), message.get("more_body", False)
