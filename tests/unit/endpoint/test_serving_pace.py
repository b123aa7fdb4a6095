"""Large bodies are received at a bounded rate, those that are refused too, and a refusal does not wait for its body."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest
from patience import patient
from served_model import JSON, Server

from visitcast.serving import bodies, limits
from visitcast.serving.bodies import Arriving, Bodies, Message, Pace
from visitcast.serving.errors import RequestError
from visitcast.serving.limits import Limits

SIZE = 6 * 2**20
PIECE = b" " * 2**18
PIECES = SIZE // len(PIECE)


def head(content_type: str, length: int = SIZE) -> bytes:
    described = f"Host: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {length}"
    return f"POST /invocations HTTP/1.1\r\n{described}\r\n\r\n".encode()


def answer(client: socket.socket) -> tuple[int, bytes]:
    """Read one answer; return its status and all of it."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += client.recv(1)
    length = int(text.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(text.split()[1]), text + client.recv(length, socket.MSG_WAITALL)


@pytest.fixture
def client(server: Server) -> Any:
    with socket.create_connection(("127.0.0.1", server.port), timeout=patient(60)) as connection:
        yield connection


def test_a_refusal_comes_before_the_body_and_leaves_the_connection_usable(client: socket.socket) -> None:
    client.sendall(head("text/x"))
    assert answer(client)[0] == 415
    client.sendall(b"x" * SIZE)  # so many do not fit into a socket's buffers: they are taken
    client.sendall(head("text/x", 3) + b"abc" + b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert [answer(client)[0] for _ in range(2)] == [415, 200]


def test_a_client_that_sends_before_it_reads_gets_its_refusal(client: socket.socket) -> None:
    client.sendall(head("text/x") + b"x" * SIZE)
    assert answer(client)[0] == 415


def test_a_body_that_is_too_long_is_not_read_to_its_end(client: socket.socket) -> None:
    client.sendall(head(JSON, 10 * SIZE))
    status, text = answer(client)
    assert (status, b"connection: close" in text.lower()) == (413, True)
    assert "larger than" in json.loads(text.partition(b"\r\n\r\n")[2])["error"]["reason"]
    with pytest.raises(ConnectionError):
        client.sendall(b"x" * 10 * SIZE)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that readers wait; nobody waits for them here."""
    seconds: list[float] = []
    sleep = asyncio.sleep

    async def note(delay: float) -> None:
        seconds.append(delay)
        await sleep(0)

    monkeypatch.setattr(bodies.asyncio, "sleep", note)
    return seconds


def pieces(number: int) -> Any:
    left = iter(range(number, 0, -1))

    async def receive() -> Message:
        return {"type": "http.request", "body": PIECE, "more_body": next(left) > 1}

    return receive


def test_bytes_pass_one_after_the_other(slept: list[float]) -> None:
    async def work() -> None:
        pace = Pace(100)
        await asyncio.gather(*(pace.passes(50) for _ in range(4)))

    asyncio.run(work())
    assert slept == pytest.approx([0, 0.5, 1, 1.5], abs=0.1)


def test_large_bodies_are_read_at_the_rate_together_and_so_are_those_that_are_dropped(slept: list[float]) -> None:
    async def work() -> None:
        reader = Bodies(Limits())
        read = [reader.read({}, pieces(PIECES)), reader.read({}, pieces(PIECES))]
        assert [len(body) for body in await asyncio.gather(*read)] == [SIZE] * 2
        await reader.drop_rest(Arriving(pieces(PIECES)))

    asyncio.run(work())
    expected = (3 * PIECES - 3) * len(PIECE) / bodies.LARGE_BYTES_PER_SECOND
    assert max(slept) == pytest.approx(expected, abs=0.1)


def test_a_small_body_does_not_wait(slept: list[float]) -> None:
    assert asyncio.run(Bodies(Limits()).read({}, pieces(1))) == PIECE
    assert slept == []


def test_a_batch_transform_reads_as_fast_as_it_can(slept: list[float]) -> None:
    of_transform = limits.from_environment({"SAGEMAKER_BATCH": "true"})
    assert len(asyncio.run(Bodies(of_transform).read({}, pieces(PIECES)))) == SIZE
    assert max(slept) == 0


def test_no_more_is_dropped_than_a_body_may_hold(slept: list[float]) -> None:
    received = []

    async def endless() -> Message:
        received.append(1)
        return {"type": "http.request", "body": PIECE, "more_body": True}

    arriving = Arriving(endless)
    asyncio.run(Bodies(Limits()).drop_rest(arriving))
    assert len(received) == PIECES
    with pytest.raises(RequestError):
        asyncio.run(Bodies(Limits()).read({}, endless))
