"""Cut events into UTC dates, the partitions of the events table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from visitcast.data import schema

_TYPES: Final[dict[str, pa.DataType]] = {
    schema.USER_ID: pa.string(),
    schema.EVENT_TIME: pa.timestamp("ms"),
    schema.UTC_OFFSET_MINUTES: pa.int16(),
    schema.PAGE_TYPE: pa.int8(),
    schema.PLATFORM: pa.string(),
}
FILE_SCHEMA: Final = pa.schema(_TYPES)
"""Physical types of the table's files. Times are UTC without a zone, as Athena's ``timestamp`` is."""
_ROWS_AT_ONCE: Final = 1_000_000
_EPOCH: Final = date(1970, 1, 1)


def dates_of(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[date, pa.Table]]:
    """Yield the events of every UTC date in the types of ``FILE_SCHEMA``, in order of user, time and row.

    Dates are read and sorted about a million rows at a time, so that memory does not grow with the events.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Its table ``events`` is that of `visitcast.events.reading.Events`.
    """
    for first, last in _spans(connection):
        events = connection.sql(
            f"SELECT make_timestamp_ms(ms)::DATE AS {schema.EVENTS_PARTITION}, user_id AS {schema.USER_ID}, "
            f"make_timestamp_ms(ms) AS {schema.EVENT_TIME}, minutes AS {schema.UTC_OFFSET_MINUTES}, "
            f"page_type AS {schema.PAGE_TYPE}, platform AS {schema.PLATFORM} FROM events "
            f"WHERE ms >= {_ms(first)} AND ms < {_ms(last + timedelta(days=1))} "
            f"ORDER BY {schema.EVENTS_PARTITION}, events.user_id, ms, row"
        ).to_arrow_table()
        found = events[schema.EVENTS_PARTITION].to_numpy()
        starts = np.flatnonzero(np.r_[True, found[1:] != found[:-1]]).tolist()
        events = events.drop_columns([schema.EVENTS_PARTITION]).cast(FILE_SCHEMA)
        for start, end in zip(starts, [*starts[1:], len(found)], strict=True):
            yield found[start].item(), events.slice(start, end - start)


def _spans(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[date, date]]:
    """Yield the first and last date of runs of dates that have about ``_ROWS_AT_ONCE`` rows, at least one date each."""
    counts: list[tuple[date, int]] = connection.execute(
        "SELECT make_timestamp_ms(ms)::DATE AS day, count(*) FROM events GROUP BY day ORDER BY day"
    ).fetchall()
    span: list[date] = []
    rows = 0
    for day, count in counts:
        if span and rows + count > _ROWS_AT_ONCE:
            yield span[0], span[-1]
            span, rows = [], 0
        span.append(day)
        rows += count
    if span:
        yield span[0], span[-1]


def _ms(day: date) -> int:
    return (day - _EPOCH).days * 86_400_000
