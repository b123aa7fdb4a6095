"""Local time of the rows of an export: an offset from UTC, or a zone."""

from __future__ import annotations

from typing import Final

from visitcast.data import schema
from visitcast.errors import InputError
from visitcast.events.export import Export
from visitcast.events.source import literal

_CLOCK: Final = r"^\s*[+-]?\d{1,2}:\d{2}\s*$|^\s*[+-]\d{4}\s*$|^\s*[zZ]\s*$"
"""An offset such as ``+02:00`` or ``+0200``."""


def read_offsets(export: Export) -> None:
    """Make the view ``placed``: ``minutes`` from the first source of local time that the row has."""
    sources = []
    if export.columns[schema.UTC_OFFSET_MINUTES]:
        sources.append(_offset_column(export))
    if export.one("SELECT count(*) FROM timed WHERE inside <> 0"):
        sources.append("inside")
    zones = _zones(export)
    if zones:
        _count_fallbacks(export, sources)
        sources.append(zones)
    if not sources:
        raise InputError(
            "The events do not tell local time.",
            f"{export.path} has neither an offset column nor a zone column, and its times hold no offset but UTC.",
            "Give one zone for all, --time-zone Europe/Berlin, or name a column: "
            "--columns utc_offset_minutes=... or --columns time_zone=...",
        )
    export.connection.execute(f"CREATE VIEW placed AS SELECT *, coalesce({', '.join(sources)}) AS minutes FROM timed")


def _count_fallbacks(export: Export, sources: list[str]) -> None:
    """Note how many rows take the zone that is given for all, where others have an offset or a zone of their own."""
    zone = export.mapping.time_zone
    if not zone or not (sources or export.columns[schema.TIME_ZONE]):
        return
    own = [*sources, *(["z"] if export.columns[schema.TIME_ZONE] else [])]
    without = " AND ".join(f"({source}) IS NULL" for source in own)
    count, rows = export.connection.execute(f"SELECT count(*) FILTER ({without}), count(*) FROM timed").fetchall()[0]
    if count:
        export.notes.append(f"{count:,} of {rows:,} rows have no offset or zone of their own: they took {zone}.")


def refuse_offsets(export: Export) -> None:
    """Refuse rows of the table ``events`` without an offset, or with one that no place has."""
    export.refuse(
        "placed",
        "minutes IS NULL",
        "coalesce(o::VARCHAR, z, t::VARCHAR)",
        "the local time of a row must be known",
        "Give the zone of rows without an offset: --time-zone Europe/Berlin.",
        counted="events",
    )
    export.refuse(
        "placed",
        f"minutes NOT BETWEEN {schema.WESTERNMOST_MINUTES} AND {schema.EASTERNMOST_MINUTES}",
        "coalesce(o::VARCHAR, t::VARCHAR)",
        f"offsets must be from {schema.WESTERNMOST_MINUTES} to {schema.EASTERNMOST_MINUTES} minutes",
        "Name the unit: --offset-unit minutes, hours or seconds.",
        counted="events",
    )


def _offset_column(export: Export) -> str:
    name = export.name(schema.UTC_OFFSET_MINUTES)
    number = export.is_number(schema.UTC_OFFSET_MINUTES)
    clock = "false" if number else f"regexp_matches(o, '{_CLOCK}')"
    export.refuse(
        "timed",
        f"o IS NOT NULL AND NOT {clock} AND NOT coalesce(isfinite(try_cast(o AS DOUBLE)), false)",
        "o",
        f"column {name} must be a whole number of minutes, or an offset such as +02:00",
        "Correct these rows, or leave the column out: --columns utc_offset_minutes= --time-zone Europe/Berlin.",
    )
    unit = export.mapping.offset_unit or _offset_unit(export, name, clock)
    factor = {"minutes": "1", "hours": "60", "seconds": "1 / 60"}[unit]
    value = f"try_cast(o AS DOUBLE) * {factor}"
    export.refuse(
        "timed",
        f"o IS NOT NULL AND NOT {clock} AND (abs({value} - round({value})) > 1e-6 OR {value} NOT BETWEEN "
        f"{schema.WESTERNMOST_MINUTES} AND {schema.EASTERNMOST_MINUTES})",
        "o",
        f"column {name} must be a whole number of minutes from {schema.WESTERNMOST_MINUTES} to "
        f"{schema.EASTERNMOST_MINUTES}",
        f"They were read as {unit}. Name another unit: --offset-unit minutes, hours or seconds.",
    )
    if number:
        return f"round({value})::INTEGER"
    digits = "replace(ltrim(trim(o), '+-'), ':', '')"
    return (
        f"CASE WHEN o IS NULL THEN NULL WHEN {clock} THEN if(trim(o)[1] = '-', -1, 1) * "
        f"coalesce(try_cast({digits} AS INTEGER) // 100 * 60 + try_cast({digits} AS INTEGER) % 100, 0) "
        f"ELSE round({value})::INTEGER END"
    )


def _offset_unit(export: Export, name: str, clock: str) -> str:
    """Tell the unit: no offset is a few minutes, and every one is a whole number of quarter hours."""
    rows = export.connection.execute(
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
        export.notes.append(f"{name} was read as {unit}; --offset-unit names another unit.")
    return unit


def _zones(export: Export) -> str | None:
    if not (export.columns[schema.TIME_ZONE] or export.mapping.time_zone):
        return None
    if export.mapping.time_zone and not export.one(
        f"SELECT count(*) FROM pg_timezone_names() WHERE name = {literal(export.mapping.time_zone)}"
    ):
        raise InputError(
            "The time zone does not exist.",
            f"{export.mapping.time_zone!r} is not the name of a zone.",
            "Give one such as --time-zone Europe/Berlin.",
        )
    export.refuse(
        "timed",
        "z IS NOT NULL AND z NOT IN (SELECT name FROM pg_timezone_names())",
        "z",
        f"column {export.name(schema.TIME_ZONE)} must be the name of a zone such as Europe/Berlin",
        "Correct these rows, or leave the column out: --columns time_zone= --time-zone Europe/Berlin.",
    )
    zone = f"coalesce(z, {literal(export.mapping.time_zone)})" if export.mapping.time_zone else "z"
    instant = "make_timestamp_ms(clock)"
    shift = f"(epoch_ms(timezone({zone}, {instant}::TIMESTAMPTZ)) - clock)"
    if export.mapping.local_times:
        shift = f"CASE WHEN naive THEN clock - epoch_ms(timezone({zone}, {instant})) ELSE {shift} END"
    return f"CASE WHEN {zone} IS NOT NULL THEN (floor({shift} / 60000))::INTEGER END"
