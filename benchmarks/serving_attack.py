"""The endpoint under bad traffic: what a good client notices, memory, and a worker that is killed.

Good clients, attackers and server share the machine's cores, each in processes of their own.
"""

from __future__ import annotations

import http.client
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import psutil
import uvloop

from benchmarks import attack_bodies, attackers, http_load
from benchmarks.pipeline import ROOT, Figure
from benchmarks.random_model import write_model
from benchmarks.server_process import running
from benchmarks.serving import UNITS, histories, request_of
from visitcast.data.dataset import select_users, with_target_days

SUBJECT = "serving-attack"
FOLDER = Path("build/bench/serving-attack").absolute()
GOOD_CLIENTS: Final = 8
ATTACKERS: Final = 64
SLOW_CLIENTS: Final = 200
SMALL, LARGE = 64 * 1024, 6 * 2**20
SMALL_ATTACKS: Final = (
    "users without visits",
    "unknown keys of a user",
    "long unknown keys of a visit",
    "a key twice, at the end",
    "numbers in a visit without keys",
)
LARGE_ATTACKS: Final = (
    "unknown keys of a user",
    "long unknown keys of a visit",
    "arrays in arrays",
    "numbers for users",
    "no end",
)
MOST_USERS: Final = 10_000
PING_PAUSE_SECONDS: Final = 0.02
MIXED_REQUESTS: Final = 50_000
KILLS: Final = 3


def measure(quick: bool = False) -> list[Figure]:
    """Run all measurements; `quick` takes small sizes, for a check and not for figures."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    users = histories(200)
    write_model(FOLDER / "model", users, UNITS)
    asked = with_target_days(users, users.visit_date[users.offsets[1:] - 1] + 1)
    good = request_of(select_users(asked, slice(0, 1)), 0)
    figures = []
    (FOLDER / "floor").mkdir()
    with (
        running(FOLDER, "visitcast", "serve", SAGEMAKER_MODEL_SERVER_WORKERS="2") as (port, process),
        running(FOLDER / "floor", "benchmarks.discarding_server") as (floor, _),
    ):
        figures += under_attack(port, floor, good, 0.5 if quick else 4)
        figures += memory(port, process, good, 500 if quick else MIXED_REQUESTS)
        figures += killed_workers(port, process, good)
    return figures


def attacks() -> dict[str, bytes]:
    """Return the bodies of each attack; those of many users are the largest that are computed."""
    small, large = attack_bodies.bodies(SMALL), attack_bodies.bodies(LARGE)
    most = b'{"users":[' + b",".join([attack_bodies.SHORTEST_USER] * MOST_USERS) + b"]}"
    return {
        **{f"64 kB, {name}": small[name] for name in SMALL_ATTACKS},
        **{f"6 MB, {name}": large[name] for name in LARGE_ATTACKS},
        "10,000 users without visits": most,
    }


def under_attack(port: int, floor: int, good: bytes, seconds: float) -> list[Figure]:
    """Measure good clients and ``/ping`` alone and under each attack, in turns.

    Beside it the same attack on a server at the port `floor` that only reads: what the machine is loaded with by
    attackers and by receiving what they send.
    """
    figures = []
    quiet: list[float] = []
    calls = [
        *((name, ATTACKERS, body, "ask") for name, body in attacks().items()),
        ("6 MB, abandoned", ATTACKERS, attack_bodies.bodies(LARGE)["no end"], "abandon"),
        ("slow bodies", SLOW_CLIENTS, b"x" * LARGE, "dawdle"),
    ]
    for name, clients, body, how in calls:
        alone, _ = _good_and_ping(port, good, seconds)
        with attacked(port, clients, body, how) as statuses:
            under, ping = _good_and_ping(port, good, seconds)
        with attacked(floor, clients, body, how):
            only_read, only_read_ping = _good_and_ping(floor, good, seconds)
        quiet.append(alone.p99_ms)
        who = f"{clients} clients, {name}"
        figures += [
            Figure(SUBJECT, f"{who}: p99 before", alone.p99_ms, "ms"),
            Figure(SUBJECT, f"{who}: p99", under.p99_ms, "ms"),
            Figure(SUBJECT, f"{who}: p99 by that before", under.p99_ms / alone.p99_ms, "x", "<= 3"),
            Figure(SUBJECT, f"{who}: slowest ping", 1000 * ping, "ms", "<= 200"),
            Figure(SUBJECT, f"{who}: p99 if bodies are only read", only_read.p99_ms, "ms"),
            Figure(SUBJECT, f"{who}: slowest ping if bodies are only read", 1000 * only_read_ping, "ms"),
            *(Figure(SUBJECT, f"{who}: answered {status}", number, "") for status, number in sorted(statuses.items())),
        ]
    return [Figure(SUBJECT, "quiet: p99", statistics.median(quiet), "ms"), *figures]


def _good_and_ping(port: int, good: bytes, seconds: float) -> tuple[http_load.Load, float]:
    """Run good clients; returns their load and the seconds of the slowest ping."""
    done = threading.Event()
    pings: list[float] = []

    def watch() -> None:
        connection = http.client.HTTPConnection(http_load.LOCALHOST, port, timeout=120)
        while not done.is_set():
            begin = time.perf_counter()
            connection.request("GET", "/ping")
            connection.getresponse().read()
            pings.append(time.perf_counter() - begin)
            done.wait(PING_PAUSE_SECONDS)
        connection.close()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        load = http_load.run(port, good, GOOD_CLIENTS, seconds)
    finally:
        done.set()
        watching.join()
    return load, max(pings)


@contextmanager
def attacked(port: int, clients: int, body: bytes, how: str) -> Iterator[Counter[str]]:
    """Attack during the block; the statuses that were answered are counted after it."""
    file = FOLDER / "body"
    file.write_bytes(body)
    command = [sys.executable, "-m", "benchmarks.attackers", str(port), str(clients), how, str(file)]
    statuses: Counter[str] = Counter()
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as attack:
        if not attack.stdout or attack.stdout.readline() != "begun\n":
            raise RuntimeError("The attack has not begun.")
        try:
            yield statuses
        finally:
            statuses.update(json.loads(attack.communicate()[0]))


def memory(port: int, process: psutil.Process, good: bytes, requests: int) -> list[Figure]:
    """Ask for a mixture of good and bad, large and small; memory of all the server's processes before and after."""
    small, middle = attack_bodies.bodies(SMALL // 4), attack_bodies.bodies(4 * SMALL)
    mixture = [
        *(body for bad in small.values() for body in (good, good, bad)),
        *(body for bad in middle.values() for body in (good, bad)),
    ]
    uvloop.run(attackers.ask_each(port, mixture, GOOD_CLIENTS))
    before = _megabytes(process)
    begin = time.perf_counter()
    statuses = uvloop.run(attackers.ask_each(port, islice(cycle(mixture), requests), GOOD_CLIENTS))
    passed = time.perf_counter() - begin
    after = _megabytes(process)
    return [
        Figure(SUBJECT, "mixed requests: memory before", before, "MB"),
        Figure(SUBJECT, f"mixed requests: memory after {requests:,}", after, "MB", "<= 1.2 times that before"),
        Figure(SUBJECT, "mixed requests: answers", requests / passed, "/s"),
        *(Figure(SUBJECT, f"mixed requests: answered {status}", n, "") for status, n in sorted(statuses.items())),
    ]


def _megabytes(process: psutil.Process) -> float:
    """Memory of a process and those below it, shared pages counted once."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += one.memory_full_info().pss
    return total / 1e6


def killed_workers(port: int, process: psutil.Process, good: bytes) -> list[Figure]:
    """Kill a worker with SIGKILL; seconds until its successor has started."""
    seconds = []
    for _ in range(KILLS):
        worker = process.children()[0]
        started = _started()
        begin = time.perf_counter()
        worker.kill()
        while _started() == started:
            time.sleep(0.005)
        seconds.append(time.perf_counter() - begin)
        http_load.run(port, good, GOOD_CLIENTS, 0.1)
    return [Figure(SUBJECT, "a worker is killed: replaced after", statistics.median(seconds), "s", "<= 2")]


def _started() -> int:
    log = (FOLDER / "serving.log").read_text(encoding="utf-8")
    return log.count('"event":"started"')
