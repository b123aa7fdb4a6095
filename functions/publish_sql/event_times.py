"""Times and offsets of a table of one's own, in Athena's dialect.

visitcast.events reads a whole export with DuckDB. This SQL sees one row at a time: it tells the unit of a number from
its size, and takes ``Z`` for UTC, which does not tell local time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from functions.publish_sql.mapping import EventsMapping, Refused
from functions.publish_sql.sql_words import FRACTIONS, INTEGERS, TEXTS, as_text, column, first_of, literal

ISO: Final = (
    r"^\s*(\d{4})-?(\d{2})-?(\d{2})[T ]?\s*(\d{2}):?(\d{2})(?::?(\d{2})(?:[.,](\d+))?)?"
    r"\s*([zZ]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?\s*$"
)
"""ISO 8601, and ``YYYYMMDDhhmmss``; the parts are year to fraction, and the offset."""
_COMPACT: Final = r"^(?:19|20)\d{12}$"
_NUMBER: Final = r"^\s*-?\d+(\.\d*)?\s*$"
_DATE: Final = r"^\s*(\d{4}-\d{2}-\d{2}|(?:19|20)\d{6}|\d{1,2}[./]\d{1,2}[./]\d{4})\s*$"
_CLOCK: Final = r"^\s*[+-]?\d{1,2}:\d{2}\s*$|^\s*[+-]\d{4}\s*$|^\s*[zZ]\s*$"
"""An offset such as ``+02:00`` or ``+0200``."""
WESTERNMOST_MINUTES: Final = -720
EASTERNMOST_MINUTES: Final = 840
"""A test compares them with visitcast.data.schema."""
_FORMATS: Final = {
    **dict.fromkeys("dmyYHjpbf"),
    "M": "i", "S": "s", "B": "M", "I": "h", "A": "W", "a": "a", "T": "T", "%": "%",
}  # fmt: skip
"""From the directives of ``strptime`` to those of date_parse: https://trino.io/docs/current/functions/datetime.html"""
_EPOCH: Final = "TIMESTAMP '1970-01-01 00:00:00.000'"
"""date_add keeps the precision of its argument: https://trino.io/docs/current/language/types.html#timestamp-p"""


def instants(names: tuple[str, ...], types: Mapping[str, str]) -> str:
    """Return the SQL of the times as they are stored: timestamps if all columns have them, else texts.

    Raises
    ------
    Refused
        The type of a column is no time, or a date without a time.
    """
    for name in names:
        kind = types[name]
        if kind == "date":
            raise Refused(
                f"Column {name} cannot be event_time.",
                "It has the type date, and hours cannot be forecast from dates.",
                "Choose a column with times: --columns event_time=...",
            )
        if not (_is_timestamp(kind) or kind in (*TEXTS, *INTEGERS, *FRACTIONS)):
            raise Refused(
                f"Column {name} cannot be event_time.",
                f"It has the type {kind}.",
                "It must be a timestamp, a text or a number since 1970. Choose another: --columns event_time=...",
            )
    if _are_timestamps(names, types):
        # Of Iceberg's timestamps with a zone this is the time in UTC.
        return first_of([f"CAST({column(name)} AS timestamp)" for name in names])
    return first_of(
        [
            f"CAST(CAST({column(name)} AS timestamp) AS varchar)"
            if _is_timestamp(types[name])
            else as_text(name, types[name], "event_time", fractions=True)
            for name in names
        ]
    )


def in_utc(read: str, columns: Mapping[str, tuple[str, ...]], types: Mapping[str, str], mapping: EventsMapping) -> str:
    """Return the query that adds ``clock`` (timestamp), ``inside`` (minutes of an offset in the time) and ``naive``."""
    names = columns["event_time"]
    given = "|".join(names)
    if mapping.time_format:
        if _are_timestamps(names, types):
            raise Refused(
                "--time-format is not used.", f"Column {given} has timestamps, not texts.", "Leave --time-format out."
            )
        rule = f"column {given} must have the time format {mapping.time_format}"
        clock = _or_fail(f"TRY(date_parse(t, {literal(_mysql_format(mapping.time_format))}))", rule)
        return f"SELECT *, {clock} AS clock, CAST(NULL AS integer) AS inside, true AS naive FROM (\n{read}\n)"
    if _are_timestamps(names, types):
        return f"SELECT *, t AS clock, CAST(NULL AS integer) AS inside, true AS naive FROM (\n{read}\n)"
    part = {number: f"regexp_extract(t, {literal(ISO)}, {number})" for number in range(1, 9)}
    date, time = f"{part[1]} || '-' || {part[2]} || '-' || {part[3]}", f"{part[4]} || ':' || {part[5]}"
    seconds = f"coalesce(nullif({part[6]}, ''), '00') || '.' || rpad(coalesce({part[7]}, ''), 3, '0')"
    number = "CAST(trim(t) AS decimal(38, 6))"
    scaled = (
        f"CASE WHEN abs({number}) < 100000000000 THEN {number} * 1000 "
        f"WHEN abs({number}) < 100000000000000 THEN {number} "
        f"WHEN abs({number}) < 100000000000000000 THEN {number} / 1000 ELSE {number} / 1000000 END"
    )
    rule = f"column {given} must be an ISO-8601 time such as 2026-11-20T08:15:00+01:00, or a number since 1970"
    dates = f"column {given} must have a time of day, not a date alone"
    written = f"TRY_CAST({date} || ' ' || {time} || ':' || {seconds} AS timestamp)"
    clock = (
        # In two steps, since date_add takes 32 bits.
        f"CASE WHEN is_number THEN date_add('millisecond', ms % 60000, date_add('minute', ms / 60000, {_EPOCH})) "
        f"ELSE {_or_fail(written, rule)} END"
    )
    # A text that is a date alone could also be a number.
    checked = f"CASE WHEN regexp_like(t, {literal(_DATE)}) THEN {_failure(dates)} ELSE {clock} END"
    sign = "CASE WHEN substr(suffix, 1, 1) = '-' THEN -1 ELSE 1 END"
    digits = "replace(suffix, ':', '')"
    inside = (
        f"CASE WHEN suffix LIKE '+%' OR suffix LIKE '-%' THEN {sign} * (CAST(substr({digits}, 2, 2) AS integer) * 60 "
        f"+ coalesce(TRY_CAST(nullif(substr({digits}, 4, 2), '') AS integer), 0)) END"
    )
    is_number = f"regexp_like(t, {literal(_NUMBER)}) AND NOT regexp_like(t, {literal(_COMPACT)})"
    return (
        "SELECT user_id, o, z, p, f, f_lower, d, date_add('minute', -coalesce(inside, 0), clock) AS clock, inside,\n"
        "suffix IS NULL AND NOT is_number AS naive FROM (\n"
        f"SELECT *, {checked} AS clock, {inside} AS inside FROM (\n"
        f"SELECT *, CASE WHEN is_number THEN CAST(floor({scaled}) AS bigint) END AS ms FROM (\n"
        f"SELECT *, nullif({part[8]}, '') AS suffix, {is_number} AS is_number FROM (\n{read}\n)\n)\n)\n)"
    )


def offsets(timed: str, columns: Mapping[str, tuple[str, ...]], mapping: EventsMapping) -> str:
    """Return the query that adds ``minutes`` from the first source of local time that the row has."""
    sources = []
    if columns["utc_offset_minutes"]:
        sources.append(_offset_column("|".join(columns["utc_offset_minutes"]), mapping))
    zone = first_of(
        [*(["z"] if columns["time_zone"] else []), *([literal(mapping.time_zone)] if mapping.time_zone else [])]
        or ["CAST(NULL AS varchar)"]
    )
    has_zone = bool(columns["time_zone"] or mapping.time_zone)
    sources.append("inside")
    if has_zone:
        shift = f"date_diff('minute', clock, {_local('clock', zone)})"
        if mapping.local_times:
            utc = f"CAST(at_timezone(with_timezone(clock, {zone}), 'UTC') AS timestamp)"
            shift = f"CASE WHEN naive THEN date_diff('minute', {utc}, clock) ELSE {shift} END"
        sources.append(f"CASE WHEN {zone} IS NOT NULL THEN {shift} END")
    rule = literal(
        "the local time of a row must be known; give the zone of rows without an offset, --time-zone Europe/Berlin; "
        "row of "
    )
    # NULL if there is no time: the rules count these rows.
    unknown = f"CASE WHEN clock IS NOT NULL THEN CAST(CAST({rule} || user_id AS timestamp) AS varchar) END"
    sources.append(f"CAST({unknown} AS integer)")
    return f"SELECT *, coalesce({', '.join(sources)}) AS minutes FROM (\n{timed}\n)"


def _local(clock: str, zone: str) -> str:
    return f"CAST(at_timezone(with_timezone({clock}, 'UTC'), {zone}) AS timestamp)"


def _offset_column(name: str, mapping: EventsMapping) -> str:
    unit = mapping.offset_unit or next(
        (unit for unit in ("seconds", "hours") if name.lower().endswith(unit)), "minutes"
    )
    value = {"minutes": "v", "hours": "v * 60", "seconds": "v / 60"}[unit].replace("v", "TRY_CAST(trim(o) AS double)")
    rule = (
        f"column {name} must be a whole number of minutes from {WESTERNMOST_MINUTES} to {EASTERNMOST_MINUTES}, or an "
        f"offset such as +02:00; it was read as {unit}, --offset-unit names another unit; value "
    )
    digits = "lpad(replace(replace(replace(replace(upper(trim(o)), 'Z', ''), '+', ''), '-', ''), ':', ''), 4, '0')"
    sign = "CASE WHEN substr(trim(o), 1, 1) = '-' THEN -1 ELSE 1 END"
    return (
        f"CASE WHEN o IS NULL THEN NULL WHEN regexp_like(o, {literal(_CLOCK)}) THEN {sign} * "
        f"(CAST(substr({digits}, 1, 2) AS integer) * 60 + CAST(substr({digits}, 3, 2) AS integer)) "
        f"WHEN abs({value} - round({value})) <= 1e-6 AND {value} BETWEEN {WESTERNMOST_MINUTES} AND "
        f"{EASTERNMOST_MINUTES} THEN CAST(round({value}) AS integer) "
        f"ELSE CAST(CAST(CAST({literal(rule)} || o AS timestamp) AS varchar) AS integer) END"
    )


def _or_fail(value: str, rule: str) -> str:
    """Return the SQL of a timestamp, or of an error that names the rule."""
    return f"CASE WHEN t IS NOT NULL THEN coalesce({value}, {_failure(rule)}) END"


def _failure(rule: str) -> str:
    """Return SQL that ends the query: the failed cast puts rule and value into the error's text."""
    return f"CAST({literal(f'{rule}, not ')} || t AS timestamp)"


def _mysql_format(text: str) -> str:
    """Translate a ``strptime`` format for date_parse.

    >>> _mysql_format("%d.%m.%Y %H:%M")
    '%d.%m.%Y %H:%i'
    """
    parts = text.split("%")
    translated = parts[0]
    position = 1
    while position < len(parts):
        part = parts[position]
        if not part:  # %%
            translated += "%%" + (parts[position + 1] if position + 1 < len(parts) else "")
            position += 2
            continue
        if part[0] not in _FORMATS:
            raise Refused(
                f"{text!r} is not a time format for Athena.",
                f"%{part[0]} has no counterpart in date_parse.",
                f"Use {', '.join(f'%{name}' for name in _FORMATS)}.",
            )
        translated += f"%{_FORMATS[part[0]] or part[0]}{part[1:]}"
        position += 1
    return translated


def _are_timestamps(names: tuple[str, ...], types: Mapping[str, str]) -> bool:
    return all(_is_timestamp(types[name]) for name in names)


def _is_timestamp(kind: str) -> bool:
    return kind.startswith("timestamp")
