"""Bad traffic: bodies that cost much, more requests than can be computed, clients that go, and where it listens."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pytest
from forecast_requests import LONGEST, VISITS, all_users, assert_forecast, changed
from patience import patient
from served_model import JSON, JSON_LINES, Reply, Server, running, user_request

from benchmarks import attack_bodies
from visitcast.data import schema
from visitcast.serving import batching, bodies, json_requests
from visitcast.serving.bodies import Bodies, Message
from visitcast.serving.errors import OverloadedError, RequestError
from visitcast.serving.limits import Limits

ROOM = batching.LARGE_AT_ONCE + batching.MOST_LARGE
LARGE = json.dumps({"users": all_users()}).encode()
SIZES = {"small": batching.SMALL_BODY_BYTES, "large": 300_000}
ATTACKS = [
    *((name, JSON, size) for size in SIZES for name in attack_bodies.bodies(1000)),
    *((name, JSON_LINES, size) for size in SIZES for name in attack_bodies.lines(1000)),
]
MOST_ERRORS = 2 * len(schema.DAY_COLUMNS) + 2
"""Errors that the parser describes: one for each column in both forms of visits."""


def attack(name: str, content_type: str, size: str) -> bytes:
    made = attack_bodies.bodies if content_type == JSON else attack_bodies.lines
    return made(SIZES[size])[name]


@pytest.mark.parametrize(("name", "content_type", "size"), ATTACKS)
def test_expensive_bodies_are_answered_and_harm_nobody(
    server: Server, expected: dict[str, dict[str, Any]], name: str, content_type: str, size: str
) -> None:
    user = user_request(VISITS[VISITS[schema.USER_ID] == LONGEST], LONGEST)
    with ThreadPoolExecutor(3) as pool:
        bad = pool.submit(server.post, attack(name, content_type, size), content_type)
        good, ping = pool.submit(server.post, {"users": [user]}), pool.submit(server.ask, "GET", "/ping")
    assert bad.result().status == (200 if "without visits" in name else 400)
    assert good.result().status == 200
    assert_forecast(good.result().json["forecasts"][0], expected[LONGEST])
    assert ping.result().status == 200


class CountingParser:
    """A pydantic parser that notes how many errors it has described."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self.errors: list[int] = []

    def validate_json(self, body: bytes) -> Any:
        try:
            return self._parser.validate_json(body)
        except json_requests.ValidationError as error:
            self.errors.append(error.error_count())
            raise


@pytest.mark.parametrize(("name", "content_type", "size"), ATTACKS)
def test_what_a_refused_body_costs_is_bounded(
    monkeypatch: pytest.MonkeyPatch, name: str, content_type: str, size: str
) -> None:
    parser = CountingParser(json_requests._BODY if content_type == JSON else json_requests._USER)
    monkeypatch.setattr(json_requests, "_BODY" if content_type == JSON else "_USER", parser)
    read = json_requests.read_json if content_type == JSON else json_requests.read_lines
    try:
        read(attack(name, content_type, size))
    except RequestError as error:
        if "It has more" in error.reason:
            assert not parser.errors
    assert sum(parser.errors) <= MOST_ERRORS


@pytest.mark.parametrize(
    "name",
    [
        "unknown keys of the body",
        "unknown keys of a user",
        "unknown keys of a visit",
        "arrays",
        "arrays in arrays",
        "open arrays",
        "empty objects",
    ],
)
def test_a_body_with_too_many_parts_is_not_parsed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(json_requests, "_BODY", None)
    with pytest.raises(RequestError, match=r"It has more (keys|arrays|objects) than"):
        json_requests.read_json(attack_bodies.bodies(SIZES["large"])[name])


def test_too_many_users_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_requests, "_BODY", None)
    with pytest.raises(RequestError, match="one request may hold 10") as refused:
        json_requests.read_json(attack_bodies.bodies(1000)["users without visits"], 10)
    assert refused.value.status == 413


@pytest.fixture
def one_worker(root: Path) -> Iterator[Server]:
    with running(root, SAGEMAKER_MODEL_SERVER_WORKERS="1") as served:
        yield served


def apart(served: Server) -> list[psutil.Process]:
    """Return the processes for large requests of a server with one worker."""
    return psutil.Process(served.process.pid).children()


@contextmanager
def halted(served: Server, pool: ThreadPoolExecutor) -> Iterator[Future[Reply]]:
    """Halt all processes for large requests during the block; yields a request that one of them has."""
    assert served.post(LARGE).status == 200
    (first,) = apart(served)
    first.suspend()
    try:
        # One of two meets the halted process, the other forks a new one.
        both = [pool.submit(served.post, LARGE) for _ in range(2)]
        answered = next(as_completed(both))
        assert answered.result().status == 200
        (stuck,) = [one for one in both if one is not answered]
        (second,) = [process for process in apart(served) if process != first]
        second.suspend()
        try:
            yield stuck
        finally:
            second.resume()
    finally:
        with suppress(psutil.NoSuchProcess):  # a test may have killed it
            first.resume()


def large_request(served: Server) -> socket.socket:
    """Send a large request; its answer is not read."""
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=patient(60))
    head = f"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(LARGE)}\r\n\r\n"
    connection.sendall(head.encode() + LARGE)
    return connection


def test_too_many_large_requests_are_asked_to_come_again(one_worker: Server) -> None:
    with ThreadPoolExecutor(ROOM + 3) as pool:
        with halted(one_worker, pool) as stuck:
            waiting = [pool.submit(ask_for_head, one_worker) for _ in range(ROOM + 2)]
            refused = list(islice(as_completed(waiting), 3))
            assert one_worker.post(changed()).status == 200  # small ones are answered meanwhile
            assert one_worker.ask("GET", "/ping").status == 200
        replies = [one.result() for one in waiting]
        assert stuck.result().status == 200
    for one in refused:
        status, retry_after, body = one.result()
        assert status == 503
        assert int(retry_after) == json.loads(body)["error"]["retry_after_seconds"] > 0
        assert json.loads(body)["error"]["reason"]
    assert sorted(status for status, *_ in replies) == [200] * (ROOM - 1) + [503] * 3


def ask_for_head(served: Server) -> tuple[int, str, bytes]:
    """Send a large request; status, Retry-After and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=patient(60))
    try:
        connection.request("POST", "/invocations", LARGE, {"Content-Type": JSON})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Retry-After", ""), answer.read()
    finally:
        connection.close()


def test_nobody_computes_for_clients_that_have_gone(one_worker: Server) -> None:
    with ThreadPoolExecutor(2) as pool, halted(one_worker, pool) as stuck:
        for _ in range(2):
            assert one_worker.next_event("invocation")["status"] == 200
        clients = [large_request(one_worker) for _ in range(ROOM - 1)]
        for client in clients:
            client.close()
        gone = [one_worker.next_event("invocation") for _ in clients]
        assert [one["status"] for one in gone] == [499] * len(clients)
        assert not any("Users" in one for one in gone)
    assert stuck.result().status == 200
    assert one_worker.post(LARGE).status == 200


def test_a_client_that_goes_in_the_middle_of_its_body_leaves_a_line_and_no_traceback(root: Path) -> None:
    with running(root, SAGEMAKER_MODEL_SERVER_WORKERS="1") as served:
        for half_closed in (True, False):
            with socket.create_connection(("127.0.0.1", served.port), timeout=patient(60)) as client:
                client.sendall(b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{")
                if half_closed:
                    client.shutdown(socket.SHUT_WR)
                    assert client.recv(1000) == b""
            assert served.next_event("invocation")["status"] == 499
        assert served.post(changed()).status == 200
        assert served.stop() == (143, "stopped by SIGTERM\n")


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + patient(30)
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def runs(process: psutil.Process) -> bool:
    """Return whether a process runs: one that has ended may wait for its new parent to collect it."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_processes_for_large_requests_end_with_their_worker(root: Path, workers: str) -> None:
    with running(root, SAGEMAKER_MODEL_SERVER_WORKERS=workers) as served:
        assert served.post(LARGE).status == 200
        manager = psutil.Process(served.process.pid)
        expected = 1 if workers == "1" else 3
        wait_until(lambda: len(manager.children(recursive=True)) >= expected)
        started = manager.children(recursive=True)
        assert len(started) == expected, [process.cmdline() for process in started]
        served.process.kill()
        wait_until(lambda: not any(runs(process) for process in started))


def test_a_process_for_large_requests_that_is_killed_fails_its_request_alone(one_worker: Server) -> None:
    with ThreadPoolExecutor(2) as pool, halted(one_worker, pool) as stuck:
        first, _ = sorted(apart(one_worker), key=lambda process: process.create_time())
        first.kill()
        assert stuck.result().status == 500
    assert one_worker.next_event("large requests failed")["exit_code"] == -9
    assert one_worker.post(LARGE).status == 200


def test_it_listens_where_it_is_told(root: Path) -> None:
    for host, elsewhere in (("127.0.0.1", False), ("", True)):
        with running(root, SAGEMAKER_BIND_TO_HOST=host) as served:
            assert served.ask("GET", "/ping").status == 200
            with socket.socket() as client:
                # All of 127.0.0.0/8 is this machine, so a server that listens everywhere answers there too.
                assert (client.connect_ex(("127.0.0.2", served.port)) == 0) is elsewhere


def arriving(*chunks: bytes) -> Any:
    """Return what receives a body in pieces, which never ends."""
    messages = iter(chunks)

    async def receive() -> Message:
        for chunk in messages:
            return {"type": "http.request", "body": chunk, "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def test_slow_bodies_hold_a_bounded_number_of_bytes() -> None:
    async def work() -> None:
        reader = Bodies(Limits(body_bytes=1000, held_bytes=1500))
        slow = asyncio.create_task(reader.read({}, arriving(b"x" * 500, b"x" * 400)))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await reader.read({}, arriving(b"x" * 500, b"x" * 400))
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        with pytest.raises(RequestError) as refused:
            await reader.read({}, arriving(b"x" * 500, b"x" * 501))
        assert refused.value.status == 413

    asyncio.run(work())


def test_a_body_that_does_not_arrive_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "ARRIVAL_SECONDS", 0.01)
    with pytest.raises(RequestError) as refused:
        asyncio.run(Bodies(Limits()).read({}, arriving(b"x")))
    assert refused.value.status == 408
