"""Preprocessing by size of the input, and its features against pandas.

Events are simulated and turned into histories by ``sql/visits.sql``, a million events at a time, so that making the
input needs bounded memory too. Then the image's entry point runs on a first part, a larger part and all of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import against_pandas
from benchmarks.athena_sql import on_duckdb
from benchmarks.pipeline import ROOT, Figure
from demo.simulator import World, simulate
from visitcast import paths
from visitcast.data import histories, schema
from visitcast.data.dataset import Dataset, concatenate, select_users

SIZES = (1_000_000, 10_000_000, 50_000_000)
QUICK_SIZES = (100_000, 1_000_000)
ORACLE_VISIT_DAYS = 20_000
QUICK_ORACLE_VISIT_DAYS = 2_000
EVENTS_PER_FILE = 1_000_000
FOLDER = Path("build/bench/preprocessing").absolute()
SAMPLE_SECONDS = 0.02


class Made(NamedTuple):
    """A Parquet file of histories, the events behind it and how long the SQL took."""

    file: Path
    events: int
    visit_days: int
    sql_seconds: float


class Job(NamedTuple):
    """Time and peak memory of a job."""

    seconds: float
    peak_bytes: int


def measure(quick: bool = False) -> list[Figure]:
    """Run all measurements; `quick` uses small sizes, to check that it runs."""
    sizes = QUICK_SIZES if quick else SIZES
    shutil.rmtree(FOLDER, ignore_errors=True)
    try:
        made = list(make_histories(FOLDER / "histories", sizes))
        figures = by_size(made, sizes)
        visit_days = QUICK_ORACLE_VISIT_DAYS if quick else ORACLE_VISIT_DAYS
        figures += against_pandas.compare(first_users(made[0].file, visit_days))
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    return figures


def make_histories(folder: Path, sizes: Sequence[int]) -> Iterator[Made]:
    """Write files of histories, each of at most ``EVENTS_PER_FILE`` events; a file ends wherever a size is reached."""
    folder.mkdir(parents=True)
    total = 0
    waiting: list[pa.Table] = []
    for block in simulate(World(users=max(sizes) // 100)):
        waiting.append(block.events)
        events = sum(table.num_rows for table in waiting)
        if events < EVENTS_PER_FILE and not any(total < size <= total + events for size in sizes):
            continue
        yield _write(folder, total, pa.concat_tables(waiting))
        total += events
        waiting = []
        if total >= max(sizes):
            return
    raise RuntimeError(f"The simulated world has only {total:,} events.")


def _write(folder: Path, number: int, events: pa.Table) -> Made:
    at = events.column_names.index(schema.EVENT_TIME)
    events = events.set_column(at, schema.EVENT_TIME, events[schema.EVENT_TIME].cast(pa.timestamp("ms")))
    integers = {column.name for column in schema.VISITS if column.kind == "integer"}
    lists = ", ".join(
        # DuckDB's sums are wider than Athena's.
        f"array_agg({f'CAST({name} AS bigint)' if name in integers else name} ORDER BY {schema.VISIT_DATE}) AS {name}"
        for name in schema.VISITS_COLUMNS
        if name != schema.USER_ID
    )
    visits = (ROOT / "sql" / "visits.sql").read_text(encoding="utf-8")
    query = on_duckdb(f"SELECT {schema.USER_ID}, {lists} FROM ({visits}) GROUP BY {schema.USER_ID}")
    file = folder / f"{number:012d}"
    with duckdb.connect() as connection:
        connection.register("events", events)
        start = time.perf_counter()
        users = connection.sql(query).to_arrow_table()
        seconds = time.perf_counter() - start
    pq.write_table(users, file)
    visit_days = pq.read_metadata(file).row_group(0).column(1).num_values
    return Made(file, events.num_rows, visit_days, seconds)


def by_size(made: Sequence[Made], sizes: Sequence[int]) -> list[Figure]:
    """Run the job on as many files as hold each size."""
    events = np.cumsum([one.events for one in made])
    jobs: list[tuple[int, Job]] = []
    figures = []
    for size in sizes:
        count = int(np.searchsorted(events, size)) + 1
        part = made[:count]
        job = run_job([one.file for one in part], FOLDER / "job")
        jobs.append((int(events[count - 1]), job))
        subject = f"preprocessing, {size / 1e6:g} million events"
        figures += [
            Figure(subject, "visit days", sum(one.visit_days for one in part), ""),
            Figure(subject, "source SQL (DuckDB)", sum(one.sql_seconds for one in part), "s"),
            Figure(subject, "whole job", job.seconds, "s"),
            Figure(subject, "whole job", jobs[-1][0] / job.seconds, "events/s"),
            Figure(subject, "peak memory", job.peak_bytes / 1e6, "MB"),
        ]
    (before_last, smaller), (last, larger) = jobs[-2:]
    subject = "preprocessing, by size"
    per_event = (larger.seconds - smaller.seconds) / (last - before_last)
    return [
        *figures,
        Figure(subject, "events/s beyond start-up", 1 / per_event, "events/s"),
        Figure(subject, "peak memory, largest over the one before", larger.peak_bytes / smaller.peak_bytes, "x", "~ 1"),
    ]


def run_job(files: Sequence[Path], root: Path) -> Job:
    """Run ``python -m visitcast preprocess`` on some files.

    Raises
    ------
    RuntimeError
        The job failed.
    """
    shutil.rmtree(root, ignore_errors=True)
    channel = root / "processing" / "input" / "visits"
    channel.mkdir(parents=True)
    for file in files:
        (channel / file.name).symlink_to(file)
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "visitcast", "preprocess"],
        cwd=ROOT / "containers",
        env={**os.environ, paths.ROOT_VARIABLE: str(root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    memory = _HighWater(process.pid)
    _, errors = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"The preprocessing failed:\n{errors[-2000:]}")
    return Job(seconds, memory.stop())


class _HighWater:
    """Reads the kernel's high-water mark of a process's memory (Linux) until the process ends; the last value counts.

    ``ru_maxrss`` is of no use: it starts with what this process held when it forked.
    """

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            try:
                lines = self._status.read_text(encoding="ascii").splitlines()
            except OSError:
                return
            found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
            self._peak = max(self._peak, *found, 0)


def first_users(file: Path, visit_days: int) -> Dataset:
    """Read the first users of a file, with about this many visit days in all."""
    dataset = concatenate(list(histories.read_blocks([file], datetime.now(UTC))))
    return select_users(dataset, slice(int(np.searchsorted(dataset.offsets, visit_days))))
