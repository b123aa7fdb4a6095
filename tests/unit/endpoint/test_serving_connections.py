"""Connections are shared out evenly among workers, and none is left lying. A worker is a thread here."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
import uvicorn

from serving import connections
from serving.application import application
from serving.batching import Batches
from serving.connections import Counts, EvenServer
from serving.limits import Limits

WITHIN_SECONDS = 30


@contextmanager
def workers(number: int, counts: Counts) -> Iterator[tuple[int, list[EvenServer]]]:
    """Run some workers on one socket; gives its port and the workers."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as ending:
        listener.setblocking(False)
        servers = []
        for worker in range(number):
            config = uvicorn.Config(application(Batches(lambda _: []), Limits()), lifespan="off", log_level="error")
            server = EvenServer(config, listener.dup(), counts, worker)
            thread = threading.Thread(target=server.run)
            thread.start()
            ending.callback(thread.join)
            ending.callback(setattr, server, "should_exit", True)
            servers.append(server)
        yield listener.getsockname()[1], servers


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


@pytest.mark.parametrize(("number", "clients", "each"), [(2, 8, 4), (3, 9, 3)])
def test_connections_that_come_at_once_are_shared_out(
    monkeypatch: pytest.MonkeyPatch, number: int, clients: int, each: int
) -> None:
    # Longer than a busy machine may keep a worker from running.
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0.5)
    with workers(number, Counts(number)) as (port, servers), ExitStack() as opened:
        for _ in range(clients):
            opened.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
        until(lambda: sum(map(open_connections, servers)) == clients)
        assert [open_connections(server) for server in servers] == [each] * number


def test_a_connection_is_taken_although_a_worker_with_fewer_leaves_it() -> None:
    counts = Counts(2)  # the other worker has none, and hangs
    with workers(1, counts) as (port, _), ExitStack() as opened:
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_SECONDS)
            assert ping(opened.enter_context(closing(connection))) == 200


def test_a_closed_connection_counts_no_longer() -> None:
    counts = Counts(2)
    with workers(1, counts) as (port, _):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_SECONDS)) as connection:
            assert ping(connection) == 200
            assert not counts.has_fewest(0)
        until(lambda: counts.has_fewest(0))


def test_a_server_that_ends_takes_no_more() -> None:
    with workers(1, Counts(1)) as (port, (server,)):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_SECONDS)) as connection:
            assert ping(connection) == 200
        server.should_exit = True
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
