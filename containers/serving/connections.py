"""Connections shared out evenly among worker processes.

The kernel gives a connection to whichever worker asks first: of eight that come at once one worker may get all, and as
clients keep their connections, one core all the work. Here a worker leaves a connection to those that have fewer.
"""

from __future__ import annotations

import asyncio
import mmap
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PATIENCE_SECONDS: Final = 0.005
"""How long a connection is left to others: so long they may be computing. Then it is taken all the same."""


class Counts:
    """Open connections of each worker, in memory that forked processes share.

    Parameters
    ----------
    workers : int
        How many there are.
    """

    def __init__(self, workers: int) -> None:
        self._of_worker = memoryview(mmap.mmap(-1, 4 * workers)).cast("I")

    def set(self, worker: int, connections: int) -> None:
        """Say how many connections a worker has."""
        self._of_worker[worker] = connections

    def has_fewest(self, worker: int) -> bool:
        """Tell whether no other worker has fewer."""
        return self._of_worker[worker] <= min(self._of_worker)


class EvenServer(uvicorn.Server):
    """A worker's server.

    Parameters
    ----------
    config : uvicorn.Config
        Settings.
    listener : socket
        Shared with the other workers, not blocking.
    counts : Counts
        Shared with the other workers.
    worker : int
        Number of this one.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket, counts: Counts, worker: int) -> None:
        super().__init__(config)
        self._listener = listener
        self._counts = counts
        self._worker = worker

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 # uvicorn's signature
        """Begin to accept connections, here instead of in the event loop."""
        await super().startup(sockets=[])
        self._counts.set(self._worker, 0)
        self._accepting = asyncio.create_task(self._accept())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and finish."""
        self._accepting.cancel()
        self._listener.close()
        await super().shutdown(sockets)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await _readable(self._listener)
            if not self._counts.has_fewest(self._worker):
                await asyncio.sleep(PATIENCE_SECONDS)
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:  # another worker has it
                continue
            except OSError:  # gone again, or too many open files
                await asyncio.sleep(PATIENCE_SECONDS)
                continue
            connection.setblocking(False)
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        return _Counted(self.config, self.server_state, {}, counted=self._count)

    def _count(self) -> None:
        self._counts.set(self._worker, len(self.server_state.connections))


class _Counted(HttpToolsProtocol):
    """A connection that says when it begins and ends."""

    def __init__(self, *args: Any, counted: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counted = counted

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._counted()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._counted()


async def _readable(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(listener, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(listener)
