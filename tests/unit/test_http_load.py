"""The load generator of the serving benchmark, against servers that answer well, in pieces, wrongly or not at all."""

from __future__ import annotations

import http.client
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from benchmarks import http_load

BODY = b'{"users": []}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ndate: today\r\n\r\nhello"


@contextmanager
def serving(pieces: Sequence[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Answer every request with the same bytes, written in pieces; without any the connection is closed."""
    bodies: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            with suppress(ConnectionError):  # a load that ends by an error closes its other connections
                while self.rfile.readline().startswith(b"POST /invocations "):
                    headers = http.client.parse_headers(self.rfile)
                    bodies.append(self.rfile.read(int(headers["Content-Length"])))
                    if not pieces:
                        return
                    for piece in pieces:
                        self.wfile.write(piece)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server((http_load.LOCALHOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield server.server_address[1], bodies
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([ANSWER], id="whole"),
        pytest.param([ANSWER[:30], ANSWER[30:-2], ANSWER[-2:]], id="in pieces"),
        pytest.param([bytes([one]) for one in ANSWER], id="byte by byte"),
    ],
)
def test_every_answer_is_counted_once(pieces: list[bytes]) -> None:
    with serving(pieces) as (port, bodies):
        load = http_load.run(port, BODY, clients=3, seconds=0.1)
    assert set(bodies) == {BODY}
    assert len(bodies) >= 3
    # The rate's time is a little longer than was asked for: every client waits for its last answer.
    assert 0 < load.per_second * 0.1 <= len(bodies)
    assert 0 < load.p50_ms <= load.p99_ms


def test_every_client_asks_at_least_once() -> None:
    with serving([ANSWER]) as (port, bodies):
        http_load.run(port, BODY, clients=4, seconds=0)
    assert len(bodies) == 4


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        pytest.param([b"HTTP/1.1 400 Bad Request\r\ncontent-length: 6\r\n\r\nwrong!"], "wrong!", id="refused"),
        pytest.param([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"], "Content-Length", id="no length"),
    ],
)
def test_another_answer_ends_the_load(pieces: list[bytes], message: str) -> None:
    with serving(pieces) as (port, _), pytest.raises(RuntimeError, match=message):
        http_load.run(port, BODY, clients=2, seconds=10)


def test_a_closed_connection_ends_the_load() -> None:
    with serving([]) as (port, _), pytest.raises(ConnectionError):
        http_load.run(port, BODY, clients=2, seconds=10)
