"""Bytes of an event and of a visit day in Parquet, by which docs/forecasts.md weighs what the daily query reads.

User identifiers count most. Simulated ones are numbers, which compress better than those of an app, so that every
identifier is replaced by 32 hexadecimal digits, as a UUID has.
"""

from __future__ import annotations

import hashlib
import io
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.athena_sql import on_duckdb
from benchmarks.pipeline import ROOT, Figure
from demo.events import read_events
from demo.simulator import World, simulate
from visitcast.data import schema

_DATE = date(2026, 11, 20)
_USERS = 100_000


def measure(events: Path | None, quick: bool = False) -> list[Figure]:
    """Measure one UTC date of a simulated world and, if a file is given, all of its events as one partition."""
    figures = _sizes("simulated events of a UTC date", _simulated(2_000 if quick else _USERS))
    return figures + (_sizes(f"{events.name}, one partition", read_events(events)) if events else [])


def _simulated(users: int) -> pa.Table:
    world = World(users=users, days=40, end=date(2026, 11, 22))
    return pa.concat_tables(
        block.events.filter(pc.equal(block.events[schema.EVENT_TIME].cast(pa.date32()), pa.scalar(_DATE)))
        for block in simulate(world)
    )


def _sizes(subject: str, events: pa.Table) -> list[Figure]:
    ids = pc.unique(events[schema.USER_ID])
    hexadecimal = pa.array(
        [hashlib.sha256(str(user).encode()).hexdigest()[:32] for user in ids.to_pylist()], pa.string()
    )
    users = hexadecimal.take(pc.index_in(events[schema.USER_ID].combine_chunks(), ids))
    time = events[schema.EVENT_TIME].cast(pa.timestamp("ms"))
    events = events.drop_columns([schema.USER_ID, schema.EVENT_TIME])
    events = events.append_column(schema.USER_ID, users).append_column(schema.EVENT_TIME, time)
    events = events.sort_by([(schema.USER_ID, "ascending"), (schema.EVENT_TIME, "ascending")])
    visits = _visits(events)
    return [
        Figure(subject, "users", len(ids), ""),
        Figure(subject, "events of a visit day", events.num_rows / visits.num_rows, ""),
        Figure(subject, "an event", _bytes(events) / events.num_rows, "B"),
        Figure(subject, "the events of a visit day", _bytes(events) / visits.num_rows, "B"),
        Figure(subject, "a visit day", _bytes(visits) / visits.num_rows, "B"),
    ]


def _visits(events: pa.Table) -> pa.Table:
    """Visit days with the narrowest type of each column."""
    with duckdb.connect() as connection:
        connection.register("events", events)
        visits = connection.sql(on_duckdb((ROOT / "sql" / "visits.sql").read_text(encoding="utf-8"))).to_arrow_table()
    types = {
        column.name: pa.from_numpy_dtype(np.dtype(column.dtype)) for column in schema.VISITS if column.kind == "integer"
    }
    return pa.table({name: visits[name].cast(types.get(name, visits[name].type)) for name in schema.VISITS_COLUMNS})


def _bytes(table: pa.Table) -> int:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.tell()
