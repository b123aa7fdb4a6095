"""Convert an export to the events table, with DuckDB and in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from visitcast.data import schema
from visitcast.errors import InputError
from visitcast.events import rules
from visitcast.events.mapping import FIELDS, PAGE_TYPES, TOOLS, EventsMapping, plain_name, tool_of
from visitcast.events.source import Source, literal, open_source, unreadable

_TYPES: Final[dict[str, pa.DataType]] = {
    schema.USER_ID: pa.string(),
    schema.EVENT_TIME: pa.timestamp("ms", tz="UTC"),
    schema.UTC_OFFSET_MINUTES: pa.int16(),
    schema.PAGE_TYPE: pa.int8(),
    schema.PLATFORM: pa.string(),
}
ARROW_SCHEMA: Final = pa.schema(_TYPES)
"""The events table."""
_BATCH_ROWS: Final = 1_000_000
_MEMORY: Final = "2GB"
_ROWS_SHOWN: Final = 5
_VALUE_LENGTH_SHOWN: Final = 40
_ISO: Final = (
    r"^\s*(\d{4})-?(\d{2})-?(\d{2})[T ]\s*(\d{2}):?(\d{2})(?::?(\d{2})(?:[.,](\d+))?)?"
    r"\s*([zZ]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?\s*$"
)
"""ISO 8601 with ``T`` or a space, as databases write it too; the parts are year to fraction, and the offset."""
_COMPACT: Final = r"^((?:19|20)\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})()()$"
"""``YYYYMMDDhhmmss``. As milliseconds since 1970 it would be a time after the year 2570."""
_DATE: Final = r"^\s*(\d{4}-\d{2}-\d{2}|(?:19|20)\d{6}|\d{1,2}[./]\d{1,2}[./]\d{4})\s*$"
_NUMBER: Final = r"^\s*-?\d+(\.\d*)?\s*$"
_CLOCK: Final = r"^\s*[+-]?\d{1,2}:\d{2}\s*$|^\s*[+-]\d{4}\s*$|^\s*[zZ]\s*$"
"""An offset such as ``+02:00`` or ``+0200``."""
_PLATFORM_NAMES: Final = {
    "ios": "^(ios|ipados|iphone|ipad|watchos)",
    "android": "^android",
    "web": "^(web|js|javascript|browser|desktop|windows|mac|linux|chrome)",
}


@dataclass(frozen=True)
class Events:
    """Events that were read, in a table ``events`` of a database on disk that lives as long as the reading.

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
        From each rule of ``rules.LEFT_OUT`` to its rows.
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


def read_events(path: Path, mapping: EventsMapping | None = None) -> pa.Table:
    """Read an export as one table of ``ARROW_SCHEMA``; raises as `reading` does."""
    with reading(path, mapping) as events:
        return pa.Table.from_batches(events.batches(), ARROW_SCHEMA)


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
        with duckdb.connect(f"{scratch}/events.duckdb", config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'; SET autoload_known_extensions = false")
            source = open_source(connection, path, Path(scratch))
            yield _Reading(connection, path, source, mapping or EventsMapping()).convert(now)


class _Reading:
    """One export on its way to the table ``events``."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, path: Path, source: Source, mapping: EventsMapping
    ) -> None:
        self.connection, self.path, self.source, self.mapping = connection, path, source, mapping
        self.notes: list[str] = []
        self.columns = self._columns()

    def convert(self, now: datetime | None) -> Events:
        self._stage()
        rows = int(self._one("SELECT count(*) FROM staged"))
        if rows == 0:
            raise InputError(f"{self.path} contains no events.", "It has columns, but no rows.", "Supply some events.")
        self._users()
        self._times()
        self._offsets()
        self._pages()
        self.connection.execute(
            "CREATE TABLE events AS SELECT row, user_id, "
            "CASE WHEN naive AND local THEN clock - minutes * 60000 ELSE clock END AS ms, "
            f"minutes, page_type, {self._platform()} AS platform FROM paged, "
            f"(SELECT {'true' if self.mapping.local_times else 'false'} AS local)"
        )
        left_out = self._leave_out(rows, now)
        return Events(self.connection, rows, tuple(self.notes), left_out)

    def _columns(self) -> dict[str, tuple[str, ...]]:
        """Return the source's columns of each field; empty where it has none."""
        given = dict(self.mapping.columns)
        exact = {plain_name(name): name for name in self.source.columns}
        own: dict[str, str] = {name: name for name in FIELDS if name in exact}
        default = own
        tool = self.mapping.tool or tool_of(self.source.columns)
        complete = {schema.USER_ID, schema.EVENT_TIME} <= own.keys()
        if tool and (not complete or tool == "amplitude" or self.mapping.tool):
            default = {**TOOLS[tool], **{k: v for k, v in own.items() if k not in TOOLS[tool]}}
            self.notes.append(f"The columns are those of {tool}: {', '.join(f'{k}={v}' for k, v in default.items())}.")
        chosen = {**default, **given}
        found: dict[str, tuple[str, ...]] = {}
        for name in FIELDS:
            wanted = [column for column in chosen.get(name, "").split("|") if column]
            found[name] = tuple(
                column if column in self.source.columns else exact[plain_name(column)]
                for column in wanted
                if column in self.source.columns or plain_name(column) in exact
            )
            if name in given and wanted and not found[name]:
                raise self._missing(given[name])
        missing = [name for name in (schema.USER_ID, schema.EVENT_TIME) if not found[name]]
        if missing:
            raise self._missing(", ".join(missing))
        return found

    def _missing(self, names: str) -> InputError:
        columns = list(self.source.columns)
        shown = ", ".join(columns[:40]) + (f" and {len(columns) - 40} more" if len(columns) > 40 else "")
        return InputError(
            f"{self.path} is not a file of events that can be read as it is.",
            f"Missing column: {names}. It has: {shown or 'none'}.",
            "Give a header line, or say which column is which: --columns user_id=...,event_time=...",
        )

    def _name(self, field: str) -> str:
        return "|".join(self.columns[field])

    def _value(self, field: str) -> str:
        """Return the SQL of a field as text; NULL where it is empty."""
        texts = []
        for column in self.columns[field]:
            expression = self.source.columns[column]
            text = f"decode({expression})" if self.source.types[column] == "BLOB" else f"{expression}::VARCHAR"
            texts.append(f"nullif({text}, '')")
        return f"coalesce({', '.join(texts)})" if texts else "NULL::VARCHAR"

    def _stage(self) -> None:
        values = ", ".join(f"{self._value(name)} AS {alias}" for name, alias in zip(FIELDS, "utozpf", strict=True))
        try:
            self.connection.execute(
                f"CREATE TABLE staged AS SELECT row_number() OVER () AS row, {values} "
                f"FROM {self.source.relation} source"
            )
        except duckdb.Error as error:
            raise unreadable(self.path, error) from error

    def _users(self) -> None:
        name = self._name(schema.USER_ID)
        self._refuse(
            "staged",
            "u IS NULL OR trim(u) = ''",
            "u",
            f"column {name} must not be empty",
            "Remove these rows, or take another column for them: --columns user_id=user_id|device_id.",
        )
        self._refuse(
            "staged",
            f"length(u) > {rules.MAX_USER_ID_LENGTH} OR contains(u, chr(0))",
            "u",
            f"column {name} must have at most {rules.MAX_USER_ID_LENGTH} characters and no NUL",
            "Remove these rows, or choose another column: --columns user_id=...",
        )

    def _times(self) -> None:
        """Make the table ``timed``: ``clock`` in ms, ``inside`` (minutes of an offset in the time), and ``naive``."""
        name = self._name(schema.EVENT_TIME)
        self._refuse("staged", "t IS NULL", "t", f"column {name} must not be empty", "Remove these rows.")
        number = f"regexp_matches(t, '{_NUMBER}') AND NOT regexp_matches(t, '{_COMPACT}')"
        kinds = [self.source.types[column] for column in self.columns[schema.EVENT_TIME]]
        if self.mapping.time_format:
            form = literal(self.mapping.time_format)
            try:
                self.connection.execute(
                    "CREATE TABLE timed AS SELECT *, true AS naive, NULL::INTEGER AS inside, "
                    f"epoch_ms(try_strptime(t, {form})::TIMESTAMP) AS clock FROM staged"
                )
            except duckdb.Error as error:
                raise InputError(
                    f"{form} is not a time format.", f"{error}", 'Give one such as --time-format "%d.%m.%Y %H:%M".'
                ) from error
            rule = f"column {name} must have the time format {form}"
        elif all(kind.startswith("TIMESTAMP") for kind in kinds):
            naive = not all("TIME ZONE" in kind for kind in kinds)
            self.connection.execute(
                f"CREATE TABLE timed AS SELECT *, {naive} AS naive, NULL::INTEGER AS inside, "
                "epoch_ms(try_cast(t AS TIMESTAMP)) AS clock FROM staged"
            )
            rule = f"column {name} must be a time"
        else:
            self._refuse(
                "staged",
                f"regexp_matches(t, '{_DATE}')",
                "t",
                f"column {name} must have a time of day, not a date alone",
                "Hours cannot be forecast from dates. Choose a column with times: --columns event_time=...",
            )
            scale = self._epoch_scale(number)
            parts = "['year', 'month', 'day', 'hour', 'minute', 'second', 'fraction', 'suffix']"
            date, time = (
                "year || '-' || month || '-' || day",
                "hour || ':' || minute || ':' || if(second = '', '00', second)",
            )
            written = f"{date} || ' ' || {time}"
            self.connection.execute(
                f"CREATE TABLE timed AS WITH parts AS (SELECT *, {number} AS is_number, "
                f"unnest(CASE WHEN regexp_matches(t, '{_COMPACT}') THEN regexp_extract(t, '{_COMPACT}', {parts}) "
                f"ELSE regexp_extract(t, '{_ISO}', {parts}) END) FROM staged), "
                "shifted AS (SELECT *, "
                "CASE WHEN suffix = '' THEN NULL WHEN upper(suffix) IN ('Z', 'UTC', 'GMT') THEN 0 "
                "ELSE if(suffix[1] = '-', -1, 1) * (suffix[2:3]::INTEGER * 60 + "
                "coalesce(try_cast(nullif(replace(suffix[4:], ':', ''), '') AS INTEGER), 0)) END AS inside FROM parts) "
                "SELECT row, u, t, o, z, p, f, inside, inside IS NULL AND NOT is_number AS naive, "
                f"CASE WHEN is_number THEN floor(try_cast(trim(t) AS DECIMAL(38, 6)) * {scale})::BIGINT "
                f"ELSE epoch_ms(try_cast({written} || '.' || left(rpad(fraction, 3, '0'), 3) AS TIMESTAMP)) "
                "- coalesce(inside, 0) * 60000 END AS clock FROM shifted"
            )
            rule = (
                f"column {name} must be an ISO-8601 time such as 2026-11-20T08:15:00+01:00, or a number of seconds, "
                "milliseconds or microseconds since 1970"
            )
        self._refuse(
            "timed", "clock IS NULL", "t", rule, 'Say how they are written, such as --time-format "%d.%m.%Y %H:%M".'
        )

    def _epoch_scale(self, number: str) -> str:
        """Return the factor from numbers to milliseconds, told from their median."""
        median = self._one(f"SELECT median(abs(try_cast(trim(t) AS DOUBLE))) FROM staged WHERE {number}")
        if median is None:
            return "1"
        for limit, factor, unit in (
            (1e11, "1000", "seconds"),
            (1e14, "1", "milliseconds"),
            (1e17, "0.001", "microseconds"),
        ):
            if median < limit:
                self.notes.append(f"{self._name(schema.EVENT_TIME)} was read as {unit} since 1970.")
                return factor
        self.notes.append(f"{self._name(schema.EVENT_TIME)} was read as nanoseconds since 1970.")
        return "0.000001"

    def _offsets(self) -> None:
        """Make the table ``placed``: ``minutes`` from the first source of local time that the row has."""
        sources = []
        if self.columns[schema.UTC_OFFSET_MINUTES]:
            sources.append(self._offset_column())
        if self._one("SELECT count(*) FROM timed WHERE inside <> 0"):
            sources.append("inside")
        zones = self._zones()
        if zones:
            sources.append(zones)
        if not sources:
            raise InputError(
                "The events do not tell local time.",
                f"{self.path} has neither an offset column nor a zone column, and its times hold no offset but UTC.",
                "Give one zone for all, --time-zone Europe/Berlin, or name a column: "
                "--columns utc_offset_minutes=... or --columns time_zone=...",
            )
        self.connection.execute(
            f"CREATE TABLE placed AS SELECT *, coalesce({', '.join(sources)}) AS minutes FROM timed"
        )
        self._refuse(
            "placed",
            "minutes IS NULL",
            "coalesce(o, z, t)",
            "the local time of a row must be known",
            "Give the zone of rows without an offset: --time-zone Europe/Berlin.",
        )
        self._refuse(
            "placed",
            f"minutes NOT BETWEEN {schema.WESTERNMOST_MINUTES} AND {schema.EASTERNMOST_MINUTES}",
            "coalesce(o, t)",
            f"offsets must be from {schema.WESTERNMOST_MINUTES} to {schema.EASTERNMOST_MINUTES} minutes",
            "Name the unit: --offset-unit minutes, hours or seconds.",
        )

    def _offset_column(self) -> str:
        name = self._name(schema.UTC_OFFSET_MINUTES)
        clock = f"regexp_matches(o, '{_CLOCK}')"
        self._refuse(
            "timed",
            f"o IS NOT NULL AND NOT {clock} AND NOT coalesce(isfinite(try_cast(o AS DOUBLE)), false)",
            "o",
            f"column {name} must be a whole number of minutes, or an offset such as +02:00",
            "Correct these rows, or leave the column out: --columns utc_offset_minutes= --time-zone Europe/Berlin.",
        )
        unit = self.mapping.offset_unit or self._offset_unit(name, clock)
        factor = {"minutes": "1", "hours": "60", "seconds": "1 / 60"}[unit]
        value = f"try_cast(o AS DOUBLE) * {factor}"
        self._refuse(
            "timed",
            f"o IS NOT NULL AND NOT {clock} AND (abs({value} - round({value})) > 1e-6 OR {value} NOT BETWEEN "
            f"{schema.WESTERNMOST_MINUTES} AND {schema.EASTERNMOST_MINUTES})",
            "o",
            f"column {name} must be a whole number of minutes from {schema.WESTERNMOST_MINUTES} to "
            f"{schema.EASTERNMOST_MINUTES}",
            f"They were read as {unit}. Name another unit: --offset-unit minutes, hours or seconds.",
        )
        digits = "replace(ltrim(trim(o), '+-'), ':', '')"
        return (
            f"CASE WHEN o IS NULL THEN NULL WHEN {clock} THEN if(trim(o)[1] = '-', -1, 1) * "
            f"coalesce(try_cast({digits} AS INTEGER) // 100 * 60 + try_cast({digits} AS INTEGER) % 100, 0) "
            f"ELSE round({value})::INTEGER END"
        )

    def _offset_unit(self, name: str, clock: str) -> str:
        """Tell the unit: no offset is a few minutes, and every one is a whole number of quarter hours."""
        rows = self.connection.execute(
            "SELECT max(abs(v)), bool_and(v % 900 = 0), bool_and(v * 4 = round(v * 4)) FROM "
            f"(SELECT DISTINCT try_cast(o AS DOUBLE) AS v FROM timed WHERE NOT {clock})"
        ).fetchall()
        largest, quarters_in_seconds, quarters_in_hours = rows[0]
        unit = "minutes"
        if largest is not None and 0 < largest <= schema.EASTERNMOST_MINUTES / 60 and quarters_in_hours:
            unit = "hours"
        elif largest is not None and largest > schema.EASTERNMOST_MINUTES and quarters_in_seconds:
            unit = "seconds"
        if unit != "minutes":
            self.notes.append(f"{name} was read as {unit}; --offset-unit names another unit.")
        return unit

    def _zones(self) -> str | None:
        if not (self.columns[schema.TIME_ZONE] or self.mapping.time_zone):
            return None
        if self.mapping.time_zone and not self._one(
            f"SELECT count(*) FROM pg_timezone_names() WHERE name = {literal(self.mapping.time_zone)}"
        ):
            raise InputError(
                "The time zone does not exist.",
                f"{self.mapping.time_zone!r} is not the name of a zone.",
                "Give one such as --time-zone Europe/Berlin.",
            )
        self._refuse(
            "timed",
            "z IS NOT NULL AND z NOT IN (SELECT name FROM pg_timezone_names())",
            "z",
            f"column {self._name(schema.TIME_ZONE)} must be the name of a zone such as Europe/Berlin",
            "Correct these rows, or leave the column out: --columns time_zone= --time-zone Europe/Berlin.",
        )
        zone = f"coalesce(z, {literal(self.mapping.time_zone)})" if self.mapping.time_zone else "z"
        instant = "make_timestamp_ms(clock)"
        shift = f"(epoch_ms(timezone({zone}, {instant}::TIMESTAMPTZ)) - clock)"
        if self.mapping.local_times:
            shift = f"CASE WHEN naive THEN clock - epoch_ms(timezone({zone}, {instant})) ELSE {shift} END"
        return f"CASE WHEN {zone} IS NOT NULL THEN (floor({shift} / 60000))::INTEGER END"

    def _pages(self) -> None:
        """Make the table ``paged``: ``page_type`` 1 to 4; one kind without a column."""
        name = self._name(schema.PAGE_TYPE)
        if not name:
            page = "1"
        elif self.mapping.page_types:
            named = {value: number for value, number in self.mapping.page_types.items() if value != "*"}
            whens = "".join(f" WHEN {literal(value)} THEN {int(number)}" for value, number in named.items())
            page = f"CASE p{whens} ELSE {int(self.mapping.page_types.get('*', 0))} END" if whens else "p"
        else:
            page = "CASE WHEN try_cast(p AS DOUBLE) IN (1, 2, 3, 4) THEN try_cast(p AS DOUBLE)::TINYINT ELSE 0 END"
        self.connection.execute(
            f"CREATE TABLE paged AS SELECT *, u AS user_id, ({page})::TINYINT AS page_type FROM placed"
        )
        self._refuse(
            "paged",
            f"page_type NOT IN {PAGE_TYPES}",
            "p",
            f"column {name} must be a whole number from 1 to 4",
            "Name the kind of each value, --page-types home=1,search=2,*=4, or count all as one: --columns page_type=",
        )

    def _platform(self) -> str:
        given = "".join(f" WHEN f = {literal(v)} THEN {literal(p)}" for v, p in self.mapping.platforms.items())
        known = "".join(f" WHEN regexp_matches(lower(f), '{rule}') THEN '{p}'" for p, rule in _PLATFORM_NAMES.items())
        return f"CASE{given}{known} ELSE '{schema.PLATFORMS[-1]}' END"

    def _leave_out(self, rows: int, now: datetime | None) -> dict[str, int]:
        found = {}
        for rule in rules.LEFT_OUT:
            condition = rule.condition(now)
            count = int(self._one(f"SELECT count(*) FROM events WHERE {condition}"))
            found[rule.name] = count
            if count > rules.LARGEST_SHARE_LEFT_OUT * rows + rules.ALWAYS_LEFT_OUT:
                self._refuse(
                    "events",
                    condition,
                    "make_timestamp_ms(ms)",
                    f"column {self._name(schema.EVENT_TIME)} {rule.rule}",
                    "Check the unit and format of the times, or give --time-format.",
                )
            if count:
                shown = self._shown("events", condition, "make_timestamp_ms(ms)")
                self.notes.append(f"{count} of {rows} rows were left out, since a time {rule.rule}: {shown}.")
                self.connection.execute(f"DELETE FROM events WHERE {condition}")
        return found

    def _one(self, query: str) -> Any:
        rows: list[tuple[Any, ...]] = self.connection.execute(query).fetchall()
        return rows[0][0]

    def _shown(self, table: str, condition: str, value: str) -> str:
        rows = self.connection.execute(
            f"SELECT row, ({value})::VARCHAR FROM {table} WHERE {condition} ORDER BY row LIMIT {_ROWS_SHOWN}"
        ).fetchall()
        return "; ".join(f"row {row}: {_short(text)}" for row, text in rows)

    def _refuse(self, table: str, condition: str, value: str, rule: str, remedy: str) -> None:
        """Raise if a condition holds for any row; rows are counted from 1, without the header."""
        count = self._one(f"SELECT count(*) FROM {table} WHERE {condition}")
        if not count:
            return
        total = self._one(f"SELECT count(*) FROM {table}")
        raise InputError(
            f"The events cannot be used: {rule}.",
            f"{count} of {total} rows are wrong: {self._shown(table, condition, value)}.",
            remedy,
        )


def _short(text: str | None) -> str:
    if text is None:
        return "empty"
    return repr(text if len(text) <= _VALUE_LENGTH_SHOWN else text[:_VALUE_LENGTH_SHOWN] + "…")
