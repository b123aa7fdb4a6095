"""Convert an export to the events table, with DuckDB and in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from visitcast.data import identifiers, schema
from visitcast.errors import InputError
from visitcast.events import rules
from visitcast.events.columns import columns_of, value_of
from visitcast.events.dates import FILE_SCHEMA, dates_of
from visitcast.events.export import Export
from visitcast.events.local_time import read_offsets, refuse_offsets
from visitcast.events.mapping import FIELDS, PAGE_TYPES, PLATFORM_NAMES, EventsMapping
from visitcast.events.source import literal, open_source
from visitcast.events.times import read_times
from visitcast.events.unreadable import unreadable

ARROW_SCHEMA: Final = FILE_SCHEMA.set(
    FILE_SCHEMA.get_field_index(schema.EVENT_TIME), pa.field(schema.EVENT_TIME, pa.timestamp("ms", tz="UTC"))
)
"""The events table."""
_BATCH_ROWS: Final = 1_000_000
_MEMORY: Final = "1250MB"
"""Of DuckDB; what does not fit goes to disk."""


@dataclass(frozen=True)
class Events:
    """Events that were read, in a table ``events`` of a database that lives as long as the reading.

    Attributes
    ----------
    connection : DuckDBPyConnection
        Its table has ``row`` (from 1), ``user_id``, ``ms`` since 1970 (UTC), ``minutes`` of offset, ``page_type`` and
        ``platform``.
    rows : int
        Rows of the export, those that are left out included.
    notes : tuple of str
        What was found out and decided while reading, for people.
    left_out : mapping
        From ``rules.STRANGERS`` and each rule of ``rules.LEFT_OUT`` to its rows.
    """

    connection: duckdb.DuckDBPyConnection
    rows: int
    notes: tuple[str, ...]
    left_out: dict[str, int]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the events in the file's order and the types of ``ARROW_SCHEMA``."""
        reader = self.connection.sql(
            f"SELECT user_id AS {schema.USER_ID}, ms AS {schema.EVENT_TIME}, "
            f"minutes AS {schema.UTC_OFFSET_MINUTES}, page_type AS {schema.PAGE_TYPE}, platform AS {schema.PLATFORM} "
            "FROM events"
        ).to_arrow_reader(_BATCH_ROWS)
        for batch in reader:
            yield batch.cast(ARROW_SCHEMA)

    def dates(self) -> Iterator[tuple[date, pa.Table]]:
        """Yield the events of every UTC date as `dates_of` does."""
        return dates_of(self.connection)

    def table(self) -> pa.Table:
        """Return the events as one table."""
        return pa.Table.from_batches(self.batches(), ARROW_SCHEMA)


def read_events(path: Path, mapping: EventsMapping | None = None) -> pa.Table:
    """Read an export as one table of ``ARROW_SCHEMA``; raises as `reading` does."""
    with reading(path, mapping) as events:
        return events.table()


@contextmanager
def reading(path: Path, mapping: EventsMapping | None = None, now: datetime | None = None) -> Iterator[Events]:
    """Read an export.

    Local time comes from the first of these that a row has: an offset column, an offset inside the time, a column with
    a zone's name, one zone for all rows. Times without an offset are UTC unless the mapping says that they are local.

    Parameters
    ----------
    path : Path
        File or folder.
    mapping : EventsMapping, optional
        Default: columns named as in the events table, or those of a known tool.
    now : datetime, optional
        What is in the future counts from here.

    Raises
    ------
    InputError
        Naming the column, the rule, up to five rows and the option that helps.
    """
    with tempfile.TemporaryDirectory(prefix="visitcast-events-") as scratch:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY,
            "temp_directory": f"{scratch}/spill",
        }
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'; SET autoload_known_extensions = false")
            source = open_source(connection, path, Path(scratch))
            mapping = mapping or EventsMapping()
            notes: list[str] = []
            columns = columns_of(path, source, mapping, notes)
            yield _convert(Export(connection, path, source, mapping, columns, notes), now)


def _convert(export: Export, now: datetime | None) -> Events:
    _stage(export)
    rows = int(export.one("SELECT count(*) FROM staged"))
    if rows == 0:
        raise InputError(f"{export.path} contains no events.", "It has columns, but no rows.", "Supply some events.")
    strangers = _users(export, rows)
    read_times(export)
    read_offsets(export)
    _pages(export)
    # Each step is a view, so that large exports are written once: here.
    export.connection.execute(
        "CREATE TABLE events AS SELECT row, user_id, "
        "CASE WHEN naive AND local THEN clock - minutes * 60000 ELSE clock END AS ms, "
        f"minutes, page_type, {_platform(export)} AS platform FROM paged, "
        f"(SELECT {'true' if export.mapping.local_times else 'false'} AS local)"
    )
    refuse_offsets(export)
    _refuse_pages(export)
    left_out = {rules.STRANGERS: strangers, **_leave_out(export, rows, now)}
    return Events(export.connection, rows, tuple(export.notes), left_out)


def _stage(export: Export) -> None:
    values = ", ".join(f"{value_of(export, name)} AS {alias}" for name, alias in zip(FIELDS, "utozpf", strict=True))
    try:
        export.connection.execute(
            f"CREATE TABLE lines AS SELECT {values} FROM {export.source.relation} source; "
            "CREATE VIEW staged AS SELECT rowid + 1 AS row, * FROM lines"
        )
    except duckdb.Error as error:
        raise unreadable(export.path, error) from error


def _users(export: Export, rows: int) -> int:
    """Leave out rows whose user is not an identifier, and return their number; refuse an export of such rows."""
    name = export.name(schema.USER_ID)
    export.refuse(
        "staged",
        "u IS NULL OR (u[1] = ' ' AND trim(u) = '')",
        "u",
        f"column {name} must not be empty",
        "Remove these rows, or take another column for them: --columns user_id=user_id|device_id.",
    )
    # Asked of each user once: the rule takes as long as all other steps.
    export.connection.execute(
        "CREATE TABLE strangers AS SELECT u FROM (SELECT DISTINCT u FROM lines) "
        f"WHERE length(u) > {identifiers.MAX_LENGTH} OR NOT regexp_matches(u, '{identifiers.VISIBLE}') "
        f"OR regexp_matches(u, '{identifiers.CONTROL}')"
    )
    if not export.one("SELECT count(*) FROM strangers"):
        return 0
    condition, rule = "u IN (FROM strangers)", f"column {name} {identifiers.RULE}"
    count = int(export.one(f"SELECT count(*) FROM staged WHERE {condition}"))
    if count > rules.LARGEST_SHARE_OF_STRANGERS * rows:
        remedy = "Remove these rows, or choose another column: --columns user_id=..."
        export.refuse("staged", condition, "u", rule, remedy)
    verb, shown = "was" if count == 1 else "were", export.shown("staged", condition, "u")
    export.notes.append(f"{count:,} of {rows:,} rows {verb} left out: {rule} ({shown}).")
    export.connection.execute(
        "CREATE OR REPLACE VIEW staged AS SELECT rowid + 1 AS row, * FROM lines WHERE u NOT IN (FROM strangers)"
    )
    return count


def _pages(export: Export) -> None:
    """Make the view ``paged``: ``page_type`` 1 to 4, 0 where it is none of them; one kind without a column."""
    name = export.name(schema.PAGE_TYPE)
    if not name:
        page = "1"
    elif export.mapping.page_types:
        named = {value: number for value, number in export.mapping.page_types.items() if value != "*"}
        whens = "".join(f" WHEN p::VARCHAR = {literal(value)} THEN {int(number)}" for value, number in named.items())
        others = int(export.mapping.page_types.get("*", 0))
        page = f"CASE{whens} ELSE {others} END" if named else f"{others}"
    else:
        page = "CASE WHEN try_cast(p AS DOUBLE) IN (1, 2, 3, 4) THEN try_cast(p AS DOUBLE)::TINYINT ELSE 0 END"
    export.connection.execute(
        f"CREATE VIEW paged AS SELECT *, u AS user_id, ({page})::TINYINT AS page_type FROM placed"
    )


def _refuse_pages(export: Export) -> None:
    export.refuse(
        "paged",
        f"page_type NOT IN {PAGE_TYPES}",
        "p",
        f"column {export.name(schema.PAGE_TYPE)} must be a whole number from 1 to 4",
        "Name the kind of each value, --page-types home=1,search=2,*=4, or count all as one: --columns page_type=",
        counted="events",
    )


def _platform(export: Export) -> str:
    given = "".join(f" WHEN f = {literal(v)} THEN {literal(p)}" for v, p in export.mapping.platforms.items())
    exact = f" WHEN f IN {schema.PLATFORMS} THEN f"  # saves the regular expressions, which are slow
    known = "".join(f" WHEN regexp_matches(lower(f), '{rule}') THEN '{p}'" for p, rule in PLATFORM_NAMES.items())
    return f"CASE{given}{exact}{known} ELSE '{schema.PLATFORMS[-1]}' END"


def _leave_out(export: Export, rows: int, now: datetime | None) -> dict[str, int]:
    found = {}
    for rule in rules.LEFT_OUT:
        condition = rule.condition(now)
        count = int(export.one(f"SELECT count(*) FROM events WHERE {condition}"))
        found[rule.name] = count
        if count > rules.LARGEST_SHARE_LEFT_OUT * rows + rules.ALWAYS_LEFT_OUT:
            export.refuse(
                "events",
                condition,
                "make_timestamp_ms(ms)",
                f"column {export.name(schema.EVENT_TIME)} {rule.rule}",
                "Check the unit and format of the times, or give --time-format.",
            )
        if count:
            shown = export.shown("events", condition, "make_timestamp_ms(ms)")
            verb = "was" if count == 1 else "were"
            export.notes.append(f"{count:,} of {rows:,} rows {verb} left out: a time {rule.rule} ({shown}).")
            export.connection.execute(f"DELETE FROM events WHERE {condition}")
    return found
