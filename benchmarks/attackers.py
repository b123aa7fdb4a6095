"""Clients that attack a server, in a process of their own: ``python -m benchmarks.attackers PORT CLIENTS HOW FILE``.

It prints a line when the clients have begun, attacks until its standard input ends, and prints how often each status
was answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import uvloop

LOCALHOST: Final = "127.0.0.1"
BEGIN_SECONDS: Final = 0.5
SENT_AT_ONCE: Final = 100_000
"""Bytes that a client sends before it dawdles."""
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "


def request(body: bytes) -> bytes:
    """Write a request to ``/invocations``."""
    return b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Attackers:
    """Clients that send the same request over and over.

    Parameters
    ----------
    port : int
        Of the server.
    body : bytes
        Of the request.
    """

    def __init__(self, port: int, body: bytes) -> None:
        self._port = port
        self._request = request(body)
        self.statuses: Counter[str] = Counter()

    async def attack(self, how: str) -> None:
        """Ask for answers, abandon requests, or send bodies a byte at a time, until cancelled."""
        client = {"ask": self._ask, "abandon": self._abandon, "dawdle": self._dawdle}[how]
        while True:
            reader, writer = await asyncio.open_connection(LOCALHOST, self._port)
            try:
                await client(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.statuses["by a closed connection"] += 1
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(self._request)
            self.statuses[await read_status(reader)] += 1

    async def _abandon(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._request)
        await writer.drain()

    async def _dawdle(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = self._request[:SENT_AT_ONCE], self._request[SENT_AT_ONCE:]
        writer.write(head)
        for byte in body:
            writer.write(bytes([byte]))
            await asyncio.sleep(1)


async def read_status(reader: asyncio.StreamReader) -> str:
    """Read an answer; return its status."""
    head = (await reader.readuntil(_HEAD_END)).lower()
    (length,) = [int(line[len(_LENGTH) :]) for line in head.split(b"\r\n") if line.startswith(_LENGTH)]
    await reader.readexactly(length)
    return head.split()[1].decode()


async def ask_each(port: int, bodies: Iterable[bytes], clients: int) -> Counter[str]:
    """Send requests one after the other by a number of clients; count the statuses answered."""
    left = iter(bodies)  # shared by the clients
    statuses: Counter[str] = Counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection(LOCALHOST, port)
        for body in left:
            writer.write(request(body))
            statuses[await read_status(reader)] += 1
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return statuses


async def main(port: str, clients: str, how: str, file: str) -> None:
    """Attack until the standard input ends."""
    attackers = Attackers(int(port), Path(file).read_bytes())
    running = [asyncio.create_task(attackers.attack(how)) for _ in range(int(clients))]
    await asyncio.sleep(BEGIN_SECONDS)
    print("begun", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    print(json.dumps(attackers.statuses))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
