"""The endpoint over HTTP, bulk scoring and start, beside the same model behind TensorFlow; the image's size."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import http_load
from benchmarks.network_weights import weights_of
from benchmarks.pipeline import ROOT, Figure
from benchmarks.random_model import write_model
from benchmarks.server_process import running
from visitcast.data import schema
from visitcast.data.dataset import Dataset, of_columns, select_users, with_target_days
from visitcast.forecasting.forecaster import forecast_last
from visitcast.model.bundle import Bundle
from visitcast.model.gru.scorer import GruScorer

SUBJECT = "serving"
FOLDER = Path("build/bench/serving").absolute()
UNITS = 96
VISIT_DAYS: Final = 40
"""Visit days of the users in the requests; two months of a regular visitor."""
CLIENTS: Final = (1, 8, 64)
TURNS: Final = 5
CORES: Final = 2
BASE_IMAGE_MB: Final = 125
"""python:3.13-slim, unpacked."""
OURS: Final = "ONNX Runtime"
PEER: Final = "TensorFlow"
ALONE: Final = "TensorFlow, a request at a time"
SERVERS: Final = {
    OURS: ["visitcast", "serve"],
    PEER: ["benchmarks.tensorflow_server"],
    ALONE: ["benchmarks.tensorflow_server", "one-at-a-time"],
}


def measure(quick: bool = False) -> list[Figure]:
    """Run all measurements; `quick` takes small sizes, for a check and not for figures."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    users = histories(500 if quick else 10_000)
    fitted = write_model(FOLDER / "model", select_users(users, slice(0, 200)), UNITS)
    asked = with_target_days(users, users.visit_date[users.offsets[1:] - 1] + 1)
    return [*endpoint(asked, 0.2 if quick else 2.5), *bulk(fitted, asked), image_size()]


def histories(users: int) -> Dataset:
    """Users with ``VISIT_DAYS`` visit days each, at random hours around one of their own."""
    rng = np.random.default_rng(3)
    rows = users * VISIT_DAYS
    hour = (np.repeat(rng.integers(24, size=users), VISIT_DAYS) + rng.integers(-2, 3, size=rows)) % 24
    views = rng.integers(1, 9, size=(rows, 4))
    columns = {
        **{column.name: np.zeros(rows) for column in schema.DAY_COLUMNS},
        schema.VISIT_DATE: 20_000 + np.cumsum(rng.integers(1, 4, size=(users, VISIT_DAYS)), axis=1).ravel(),
        schema.FIRST_VISIT_HOUR: hour,
        schema.LAST_VISIT_HOUR: hour,
        schema.HOURLY_VISITS: 1 << hour,
        schema.TOTAL_TIME_SPENT_S: rng.integers(0, 5000, size=rows),
        schema.TOTAL_PAGE_VIEWS: views.sum(axis=1),
        **dict(zip(schema.PAGE_VIEWS_BY_TYPE, views.T, strict=True)),
        schema.PLATFORM: rng.integers(4, size=rows),
        schema.UTC_OFFSET_MINUTES: np.full(rows, 60),
    }
    user_ids = np.char.add("user-", np.arange(users).astype(np.str_))
    return of_columns(user_ids, np.arange(users + 1) * VISIT_DAYS, columns)


def request_of(asked: Dataset, user: int) -> bytes:
    """Write the endpoint's request for one user; the user's last row is the day to forecast."""
    *days, target = range(asked.offsets[user], asked.offsets[user + 1])
    visits = [
        {
            schema.VISIT_DATE: str(asked.visit_date[day].astype("datetime64[D]")),
            **{
                column.name: int(asked.columns[column.name][day])
                for column in schema.DAY_COLUMNS
                if column.kind == "integer"
            },
            schema.PLATFORM: schema.PLATFORMS[asked.platform[day]],
        }
        for day in days
    ]
    date = str(asked.visit_date[target].astype("datetime64[D]"))
    return json.dumps({"users": [{"user_id": str(asked.user_ids[user]), "date": date, "visits": visits}]}).encode()


def _ask(port: int, body: bytes) -> Any:
    connection = http.client.HTTPConnection(http_load.LOCALHOST, port, timeout=120)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def endpoint(asked: Dataset, seconds: float) -> list[Figure]:
    """One user per request, by number of clients, and seconds from the process' start to the first forecast.

    The servers run at the same time and are measured in turns of `seconds`, so that other load on the machine affects
    all of them. Figures are medians over the turns, and ratios are medians of the ratios within a turn.
    """
    body = request_of(asked, 0)
    starts, forecasts, ports = {}, {}, {}
    loads: dict[tuple[str, int], list[http_load.Load]] = {
        (name, clients): [] for name in SERVERS for clients in CLIENTS
    }
    with ExitStack() as stack:
        for number, (name, module) in enumerate(SERVERS.items()):
            (folder := FOLDER / str(number)).mkdir()
            (folder / "model").symlink_to(FOLDER / "model")
            started = time.perf_counter()
            ports[name], _ = stack.enter_context(running(folder, *module))
            forecasts[name] = _ask(ports[name], body)["forecasts"][0]
            starts[name] = time.perf_counter() - started
            http_load.run(ports[name], body, CLIENTS[-1], seconds)  # TensorFlow traces its functions
        for clients in CLIENTS * TURNS:
            for name, port in ports.items():
                loads[name, clients].append(http_load.run(port, body, clients, seconds))
    figures = [Figure(SUBJECT, f"start to first forecast, {name}", starts[name], "s") for name in (OURS, PEER)]
    figures[0] = figures[0]._replace(target="<= 1.0")
    apart = [
        np.abs(np.subtract(forecasts[OURS][head], forecasts[PEER][head])).max()
        for head in ("first_visit_hour", "visit_hour")
    ]
    figures.append(Figure(SUBJECT, "largest difference of the two forecasts", float(max(apart)), "", "<= 1e-5"))
    for clients in CLIENTS:
        turns = {name: np.array(loads[name, clients]) for name in SERVERS}  # [turns, figures of a load]
        for name in SERVERS:
            what = f"{clients} clients, {name}"
            middle = http_load.Load(*np.median(turns[name], axis=0).tolist())
            figures += [
                Figure(SUBJECT, f"{what}: answers", middle.per_second, "/s"),
                Figure(SUBJECT, f"{what}: p50", middle.p50_ms, "ms"),
                Figure(SUBJECT, f"{what}: p99", middle.p99_ms, "ms"),
            ]
        for name, throughput, p99 in ((PEER, ">= 5", "<= 0.33" if clients == 8 else ""), (ALONE, "", "")):
            ratio = http_load.Load(*np.median(turns[OURS] / turns[name], axis=0).tolist())
            figures += [
                Figure(SUBJECT, f"{clients} clients: throughput by {name}", ratio.per_second, "x", throughput),
                Figure(SUBJECT, f"{clients} clients: p99 by {name}", ratio.p99_ms, "x", p99),
            ]
    return figures


def bulk(fitted: Bundle, asked: Dataset) -> list[Figure]:
    """Users scored per second on two cores, in a process of its own, beside Keras and beside matrix products alone."""
    code = "from benchmarks import serving; serving.print_bulk()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(asked.users)]
    lines = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    ours, keras, limit = np.array(json.loads(lines.splitlines()[-1])).T
    limit /= flops_per_user(fitted)
    return [
        Figure(SUBJECT, "bulk scoring", float(np.median(ours)), "users/s"),
        Figure(SUBJECT, "Keras predict on copied windows", float(np.median(keras)), "users/s"),
        Figure(SUBJECT, "bulk by Keras' predict", float(np.median(ours / keras)), "x", ">= 20"),
        Figure(SUBJECT, "bulk by the sgemm limit", 100 * float(np.median(ours / limit)), "%", ">= 30"),
    ]


def gru_of(fitted: Bundle) -> GruScorer:
    """Return the network that a bundle holds."""
    if not isinstance(fitted.scorer, GruScorer):
        raise TypeError(f"The bundle holds {fitted.scorer.kind}, not the GRU.")
    return fitted.scorer


def flops_per_user(fitted: Bundle) -> float:
    """Operations of the network's matrix products for a user with ``VISIT_DAYS`` visit days."""
    once = ("hidden", "first_hour", "visited", "hour_head/around", "hour_head/again", "hour_head/scores")
    total = 0.0
    for name, weight in weights_of(gru_of(fitted).network).items():
        if weight.ndim < 2 or name.endswith("bias"):
            continue
        times = VISIT_DAYS if name.startswith("gru/") else schema.HOURS if name in once else 1
        total += 2.0 * weight.size * times
    return total


def print_bulk() -> None:
    """Measure :func:`bulk` in this process; print users, Keras' users and operations a second of each turn as JSON."""
    from benchmarks import keras_model
    from visitcast.model import bundle, tensorflow_threads

    users = histories(int(sys.argv[-1]))
    asked = with_target_days(users, users.visit_date[users.offsets[1:] - 1] + 1)
    fitted = bundle.load(FOLDER / "model")
    parts = [select_users(asked, np.arange(asked.users)[part::CORES]) for part in range(CORES)]
    square = np.random.default_rng(0).random((1024, 1024), dtype=np.float32)
    tensorflow_threads.bound()
    some = select_users(asked, slice(0, min(2000, asked.users)))
    scorer = gru_of(fitted)
    inputs = keras_model.inputs(scorer.encoding, some)
    model = keras_model.build(scorer.network, inputs[2].shape[1])

    with ThreadPoolExecutor(CORES) as pool:
        works: list[tuple[float, Callable[[], Any]]] = [
            (asked.users, lambda: list(pool.map(lambda part: forecast_last(fitted, part), parts))),
            (some.users, lambda: model.predict(inputs, verbose=0)),
            (CORES * 2 * 1024**3, lambda: list(pool.map(lambda matrix: matrix @ matrix, [square] * CORES))),
        ]
        turns = [[amount / _seconds(work) for amount, work in works] for _ in range(1 + TURNS)]
    print(json.dumps(turns[1:]))  # the first warms up


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def image_size() -> Figure:
    """Estimate the image: base image, installed packages and code."""
    names = re.findall(r"^([a-z0-9._-]+)==[^;\n]*$", (ROOT / "containers/serving/requirements.txt").read_text(), re.M)
    packages = sum(_installed_bytes(name) for name in names)
    code = sum(file.stat().st_size for file in (ROOT / "containers/visitcast").rglob("*.py"))
    return Figure(SUBJECT, "image, estimated", BASE_IMAGE_MB + (packages + code) / 1e6, "MB", "<= 400")


def _installed_bytes(package: str) -> int:
    files = metadata.files(package) or []
    return sum(Path(str(file.locate())).stat().st_size for file in files if Path(str(file.locate())).is_file())
