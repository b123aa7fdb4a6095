"""SQL that reads a table of one's own as the events table, in Athena's dialect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from zoneinfo import available_timezones

from functions.publish_sql.event_times import in_utc, instants, offsets
from functions.publish_sql.mapping import PLATFORM_NAMES, EventsMapping, Refused, columns_of
from functions.publish_sql.sql_words import INTEGERS, TEXTS, column, literal, quoted, text_of

_OTHER_PLATFORM: Final = "other"
_STRUCT: Final = re.compile(r"struct<(.*)>")
_DATES: Final = ("string", "varchar", "date", *INTEGERS)


def mapped_events(table: Mapping[str, Any], mapping: EventsMapping) -> str:
    """Return the query that reads a table as events.

    The result has the columns of the events table, ``dt`` included. A row that cannot be read ends the query with an
    error that names the column and the rule; a row without a time has a NULL.

    Parameters
    ----------
    table
        ``Table`` of Glue's answer to GetTable.
    mapping
        Which column is which.

    Raises
    ------
    Refused
        It names column, type and remedy.
    """
    name = f"{table['DatabaseName']}.{table['Name']}"
    if table.get("TableType") == "VIRTUAL_VIEW":
        raise Refused(
            f"{name} is a view.",
            "The roles would need to read whatever it reads.",
            "Name the table below it, or store the view's rows by CREATE TABLE AS.",
        )
    types = dict(_types(table))
    columns = columns_of(types, mapping, name)
    if mapping.time_zone and available_timezones() and mapping.time_zone not in available_timezones():
        raise Refused(
            "The time zone does not exist.", f"{mapping.time_zone!r} is not one.", "Give --time-zone Europe/Berlin."
        )
    has_texts = any(types[given] in TEXTS for given in columns["event_time"])  # which may hold offsets
    if not (columns["utc_offset_minutes"] or columns["time_zone"] or mapping.time_zone or has_texts):
        raise Refused(
            "The events do not tell local time.",
            f"{name} has neither an offset column nor a zone column.",
            "Give one zone for all, --time-zone Europe/Berlin, or name a column: --columns utc_offset_minutes=...",
        )
    partition = _partition(table, mapping)
    read = ",\n".join(
        (
            f"{text_of(columns['user_id'], types, 'user_id')} AS user_id",
            f"{instants(columns['event_time'], types)} AS t",
            f"{text_of(columns['utc_offset_minutes'], types, 'utc_offset_minutes')} AS o",
            f"{text_of(columns['time_zone'], types, 'time_zone')} AS z",
            f"{text_of(columns['page_type'], types, 'page_type')} AS p",
            f"lower({text_of(columns['platform'], types, 'platform')}) AS f_lower",
            f"{text_of(columns['platform'], types, 'platform')} AS f",
            f"{partition or 'CAST(NULL AS varchar)'} AS d",
        )
    )
    at = f"{quoted(table['DatabaseName'])}.{quoted(table['Name'])}"
    placed = offsets(in_utc(f"SELECT\n{read}\nFROM {at} AS t", columns, types, mapping), columns, mapping)
    local = "CASE WHEN naive THEN date_add('minute', -minutes, clock) ELSE clock END"
    time = local if mapping.local_times else "clock"
    return (
        "SELECT user_id, event_time, utc_offset_minutes, page_type, platform, "
        f"{'d' if partition else 'CAST(CAST(event_time AS date) AS varchar)'} AS dt FROM (\n"
        f"SELECT user_id, {time} AS event_time, CAST(minutes AS smallint) AS utc_offset_minutes,\n"
        f"CAST({_page_type(columns, mapping)} AS tinyint) AS page_type,\n{_platform(mapping)} AS platform, d FROM (\n"
        f"{placed}\n)\n)"
    )


def location(table: Mapping[str, Any]) -> tuple[str, str]:
    """Return bucket and prefix of a table's objects.

    Raises
    ------
    Refused
        The table is not in S3.
    """
    parameters = {name.lower(): value for name, value in table.get("Parameters", {}).items()}
    template = str(parameters.get("storage.location.template", "")).partition("${")[0]
    uri = template or table.get("StorageDescriptor", {}).get("Location", "")
    match = re.fullmatch(r"s3[an]?://([^/]+)/?(.*?)/?", uri)
    if match is None:
        raise Refused(
            f"{table['DatabaseName']}.{table['Name']} is not stored in S3.",
            f"Its location is {uri!r}.",
            "Name a table whose location is s3://bucket/prefix.",
        )
    return match[1], f"{match[2]}/" if match[2] else ""


def _types(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each column with its type without length, nested ones with dots."""

    def nested(name: str, of: str) -> Iterator[tuple[str, str]]:
        of = of.strip().lower()
        yield name, re.sub(r"\(.*\)\Z", "", of)
        if match := _STRUCT.fullmatch(of):
            for part in _split(match[1]):
                child, _, kind = part.partition(":")
                yield from nested(f"{name}.{child.strip()}", kind)

    for listed in (*table.get("StorageDescriptor", {}).get("Columns", ()), *table.get("PartitionKeys", ())):
        yield from nested(listed["Name"], listed.get("Type", "string"))


def _split(text: str) -> list[str]:
    """Split a text at the commas outside all brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "<(") - (character in ">)")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _partition(table: Mapping[str, Any], mapping: EventsMapping) -> str:
    """Return the SQL of the partition column as ``yyyy-MM-dd``, or nothing."""
    if mapping.partition is None:
        return ""
    keys = {key["Name"].lower(): key.get("Type", "string").lower() for key in table.get("PartitionKeys", ())}
    name = mapping.partition.lower()
    kind = re.sub(r"\(.*\)\Z", "", keys.get(name, ""))
    if kind not in _DATES:
        shown = ", ".join(f"{key} ({of})" for key, of in keys.items()) or "none"
        raise Refused(
            f"{mapping.partition} is not a partition column with dates.",
            f"The partition columns of {table['DatabaseName']}.{table['Name']}: {shown}.",
            "Name one of type date, string (2026-11-20) or int (20261120), or leave --partition out.",
        )
    at = column(name)
    if kind not in INTEGERS:
        return f"CAST({at} AS varchar)" if kind == "date" else at
    return f"date_format(date_parse(CAST({at} AS varchar), '%Y%m%d'), '%Y-%m-%d')"


def _page_type(columns: Mapping[str, tuple[str, ...]], mapping: EventsMapping) -> str:
    """Return the SQL of the page type; 0 where a value has none, which the rules count."""
    if not columns["page_type"]:
        return "1"
    if mapping.page_types:
        whens = "".join(
            f" WHEN p = {literal(value)} THEN {number}" for value, number in mapping.page_types.items() if value != "*"
        )
        others = f"{mapping.page_types.get('*', 0)}"
        return f"CASE{whens} ELSE {others} END" if whens else others
    return "CASE WHEN TRY_CAST(p AS double) IN (1, 2, 3, 4) THEN TRY_CAST(p AS double) ELSE 0 END"


def _platform(mapping: EventsMapping) -> str:
    given = "".join(f" WHEN f = {literal(value)} THEN {literal(name)}" for value, name in mapping.platforms.items())
    known = "".join(
        f" WHEN regexp_like(f_lower, {literal(names)}) THEN {literal(name)}" for name, names in PLATFORM_NAMES.items()
    )
    return f"CASE{given}{known} ELSE {literal(_OTHER_PLATFORM)} END"
