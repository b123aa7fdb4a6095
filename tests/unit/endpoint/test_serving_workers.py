"""The serving image's worker processes: that all work, and what happens when one dies."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest
from forecast_requests import changed
from patience import patient
from served_model import Server, running

from visitcast.errors import InputError
from visitcast.serving import cores

WITHIN_SECONDS = patient(30)


@pytest.fixture
def served(root: Path) -> Iterator[Server]:
    with running(root, SAGEMAKER_MODEL_SERVER_WORKERS="2") as server:
        yield server


def manager(served: Server) -> psutil.Process:
    return psutil.Process(served.process.pid)


def test_every_worker_gets_connections(served: Server) -> None:
    started = {served.next_event("started")["pid"] for _ in range(2)}
    end = time.monotonic() + WITHIN_SECONDS
    with ExitStack() as opened:
        while {process.pid for process in manager(served).children() if established(process)} != started:
            assert time.monotonic() < end
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=WITHIN_SECONDS)
            opened.enter_context(closing(connection))
            connection.request("GET", "/ping")
            assert connection.getresponse().read() == b""


def established(process: psutil.Process) -> int:
    return sum(connection.status == psutil.CONN_ESTABLISHED for connection in process.net_connections("tcp"))


def test_a_worker_that_dies_is_replaced_and_nobody_waits_for_it(served: Server) -> None:
    first, second = (served.next_event("started") for _ in range(2))
    psutil.Process(first["pid"]).kill()
    assert served.post(changed()).status == 200
    new = served.next_event("started")
    assert new["pid"] not in (first["pid"], second["pid"])
    assert new["worker"] == first["worker"]
    psutil.Process(second["pid"]).kill()
    served.next_event("started")
    assert served.post(changed()).status == 200


def test_workers_end_with_their_manager(served: Server) -> None:
    workers = [psutil.Process(served.next_event("started")["pid"]) for _ in range(2)]
    served.process.kill()
    _, left = psutil.wait_procs(workers, WITHIN_SECONDS)
    assert not left


def test_what_is_forked_has_one_thread(served: Server) -> None:
    """A forked process has the locks of all threads, and none of the others that would open them."""
    served.next_event("started")
    assert manager(served).num_threads() == 1


def test_one_worker_needs_no_manager(root: Path) -> None:
    with running(root, SAGEMAKER_MODEL_SERVER_WORKERS="1") as server:
        assert server.post(changed()).status == 200
        assert not manager(server).children()


@pytest.mark.parametrize("wanted", ["0", "-1", "two", "1.5"])
def test_a_number_of_workers_that_is_none_is_refused(root: Path, wanted: str) -> None:
    with pytest.raises(AssertionError, match="The number of workers is not valid"):
        Server(root, SAGEMAKER_MODEL_SERVER_WORKERS=wanted)


@pytest.mark.parametrize("environment", [{}, {cores.WORKERS_VARIABLE: ""}], ids=["not set", "empty"])
def test_by_default_there_is_a_worker_per_core(environment: dict[str, str]) -> None:
    assert cores.workers(environment) == cores.available()


def test_as_many_workers_as_asked_for() -> None:
    assert cores.workers({cores.WORKERS_VARIABLE: "7"}) == 7


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("max 100000\n", 4, id="no quota"),
        pytest.param("150000 100000\n", 1, id="one core and a half"),
        pytest.param("200000 100000\n", 2, id="two cores"),
        pytest.param("50000 100000\n", 1, id="half a core"),
        pytest.param("1600000 100000\n", 4, id="more than there are"),
        pytest.param(None, 4, id="no control group"),
    ],
)
def test_cores_are_those_that_may_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str | None, expected: int
) -> None:
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: {0, 1, 4, 5}, raising=False)
    quota = tmp_path / "cpu.max"
    if written:
        quota.write_text(written)
    assert cores.available(quota) == expected


def test_the_error_of_workers_names_its_variable() -> None:
    with pytest.raises(InputError, match=cores.WORKERS_VARIABLE):
        cores.workers({cores.WORKERS_VARIABLE: "many"})
