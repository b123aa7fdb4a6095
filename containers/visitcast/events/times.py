"""The times of an export, in each of the forms that exports have."""

from __future__ import annotations

import re
from typing import Final

import duckdb

from visitcast.data import schema
from visitcast.errors import InputError
from visitcast.events.export import Export
from visitcast.events.source import literal

_ISO: Final = (
    r"^\s*(\d{4})-?(\d{2})-?(\d{2})[T ]\s*(\d{2}):?(\d{2})(?::?(\d{2})(?:[.,](\d+))?)?"
    r"\s*([zZ]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?\s*$"
)
"""ISO 8601 with ``T`` or a space, as databases write it too; the parts are year to fraction, and the offset."""
_COMPACT: Final = r"^((?:19|20)\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})()()$"
"""``YYYYMMDDhhmmss``. As milliseconds since 1970 it would be a time after the year 2570."""
_DATE: Final = r"^\s*(\d{4}-\d{2}-\d{2}|(?:19|20)\d{6}|\d{1,2}[./]\d{1,2}[./]\d{4})\s*$"
_NUMBER: Final = r"^\s*-?\d+(\.\d*)?\s*$"


def read_times(export: Export) -> None:
    """Make ``timed``: ``clock`` in ms, ``inside`` (minutes of an offset in the time), and ``naive``."""
    name = export.name(schema.EVENT_TIME)
    export.refuse("staged", "t IS NULL", "t", f"column {name} must not be empty", "Remove these rows.")
    kinds = [export.source.types[column] for column in export.columns[schema.EVENT_TIME]]
    if export.mapping.time_format:
        rule = _by_format(export, name, export.mapping.time_format)
    elif all(kind.startswith("TIMESTAMP") for kind in kinds):
        rule = _from_timestamps(export, name, naive=not all(re.search("TIME ?ZONE|TZ", kind) for kind in kinds))
    else:
        rule = _from_text(export, name)
    export.refuse(
        "timed", "clock IS NULL", "t", rule, "Say how they are written, such as --time-format '%d.%m.%Y %H:%M'."
    )


def _by_format(export: Export, name: str, time_format: str) -> str:
    """Read times of a given format; return the rule that they must keep."""
    form = literal(time_format)
    try:
        export.connection.execute(
            "CREATE VIEW timed AS SELECT *, true AS naive, NULL::INTEGER AS inside, "
            f"epoch_ms(try_strptime(t::VARCHAR, {form})::TIMESTAMP) AS clock FROM staged"
        )
    except duckdb.Error as error:
        raise InputError(
            f"{form} is not a time format.", f"{error}", "Give one such as --time-format '%d.%m.%Y %H:%M'."
        ) from error
    return f"column {name} must have the time format {form}"


def _from_timestamps(export: Export, name: str, *, naive: bool) -> str:
    """Take times that DuckDB has read as such; return the rule that they must keep."""
    export.connection.execute(
        f"CREATE VIEW timed AS SELECT *, {naive} AS naive, NULL::INTEGER AS inside, "
        "epoch_ms(try_cast(t AS TIMESTAMP)) AS clock FROM staged"
    )
    return f"column {name} must be a time"


def _from_text(export: Export, name: str) -> str:
    """Read ISO 8601 and numbers since 1970; return the rule that they must keep."""
    number = f"regexp_matches(t, '{_NUMBER}') AND NOT regexp_matches(t, '{_COMPACT}')"
    export.refuse(
        "staged",
        f"regexp_matches(t, '{_DATE}')",
        "t",
        f"column {name} must have a time of day, not a date alone",
        "Hours cannot be forecast from dates. Choose a column with times: --columns event_time=...",
    )
    scale = _epoch_scale(export, number)
    parts = "['year', 'month', 'day', 'hour', 'minute', 'second', 'fraction', 'suffix']"
    date, time = "year || '-' || month || '-' || day", "hour || ':' || minute || ':' || if(second = '', '00', second)"
    written = f"{date} || ' ' || {time}"
    export.connection.execute(
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
    return (
        f"column {name} must be an ISO-8601 time such as 2026-11-20T08:15:00+01:00, or a number of seconds, "
        "milliseconds or microseconds since 1970"
    )


def _epoch_scale(export: Export, number: str) -> str:
    """Return the factor from numbers to milliseconds, told from their median."""
    median = export.one(f"SELECT median(abs(try_cast(trim(t) AS DOUBLE))) FROM staged WHERE {number}")
    if median is None:
        return "1"
    for limit, factor, unit in (
        (1e11, "1000", "seconds"),
        (1e14, "1", "milliseconds"),
        (1e17, "0.001", "microseconds"),
    ):
        if median < limit:
            export.notes.append(f"{export.name(schema.EVENT_TIME)} was read as {unit} since 1970.")
            return factor
    export.notes.append(f"{export.name(schema.EVENT_TIME)} was read as nanoseconds since 1970.")
    return "0.000001"
