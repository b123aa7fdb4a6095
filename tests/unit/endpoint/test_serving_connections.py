"""Connections are shared out evenly among workers, and none is left lying. A worker is a thread here."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager

import pytest
import uvicorn

from serving import connections
from serving.application import application
from serving.batching import Batches
from serving.connections import Counts, EvenServer
from serving.limits import Limits

WITHIN_SECONDS = 30


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@contextmanager
def working(listener: socket.socket, counts: Counts, worker: int) -> Iterator[EvenServer]:
    config = uvicorn.Config(application(Batches(lambda _: []), Limits()), lifespan="off", log_level="error")
    server = EvenServer(config, listener.dup(), counts, worker)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield server
    finally:
        server.should_exit = True
        thread.join()


def open_to(listener: socket.socket) -> AbstractContextManager[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(*listener.getsockname(), timeout=WITHIN_SECONDS)
    connection.connect()
    return closing(connection)


def ping(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/ping")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < end


def open_connections(server: EvenServer) -> int:
    return len(server.server_state.connections)


def test_connections_go_to_the_worker_with_the_fewest(monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than a busy machine may keep a worker from running.
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0.5)
    counts = Counts(2)
    counts.set(1, 100)  # until it runs
    with listening() as listener, working(listener, counts, 0) as first, ExitStack() as opened:
        for _ in range(6):
            opened.enter_context(open_to(listener))
        until(lambda: open_connections(first) == 6)
        with working(listener, counts, 1) as second:
            for _ in range(6):
                opened.enter_context(open_to(listener))
            until(lambda: open_connections(first) + open_connections(second) == 12)
            assert open_connections(second) == 6


def test_a_connection_is_taken_although_a_worker_with_fewer_leaves_it() -> None:
    counts = Counts(2)  # the other worker has none, and hangs
    with listening() as listener, working(listener, counts, 0), ExitStack() as opened:
        for _ in range(3):
            assert ping(opened.enter_context(open_to(listener))) == 200


def test_a_closed_connection_counts_no_longer() -> None:
    counts = Counts(2)
    with listening() as listener, working(listener, counts, 0):
        with open_to(listener) as connection:
            assert ping(connection) == 200
            assert not counts.has_fewest(0)
        until(lambda: counts.has_fewest(0))


def test_a_server_that_ends_closes_its_socket() -> None:
    with listening() as listener:
        with working(listener, Counts(1), 0), open_to(listener) as connection:
            assert ping(connection) == 200
        address = listener.getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
