"""Read the bodies of requests, within bounds of bytes and time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from visitcast.serving.errors import DisconnectedError, OverloadedError, RequestError
from visitcast.serving.limits import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

ARRIVAL_SECONDS: Final = 60
"""A body has to arrive within as long as SageMaker waits for an answer."""
RETRY_SECONDS: Final = 5


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
                chunk, more = await _next(receive)
        finally:
            self._held -= length

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
