"""Which columns of an export are those of the events table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from visitcast.data import schema
from visitcast.errors import InputError
from visitcast.events.export import Export
from visitcast.events.mapping import FIELDS, TOOLS, EventsMapping, plain_name, tool_of
from visitcast.events.source import Source
from visitcast.events.unreadable import printable, why_not_cut


def columns_of(path: Path, source: Source, mapping: EventsMapping, notes: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the source's columns of each field; empty where it has none."""
    given = dict(mapping.columns)
    exact = {plain_name(name): name for name in source.columns}
    own: dict[str, str] = {name: name for name in FIELDS if name in exact}
    default = own
    tool = mapping.tool or tool_of(source.columns)
    complete = {schema.USER_ID, schema.EVENT_TIME} <= own.keys()
    if tool and (not complete or tool == "amplitude" or mapping.tool):
        default = {**TOOLS[tool], **{k: v for k, v in own.items() if k not in TOOLS[tool]}}
        notes.append(f"The columns are those of {tool}: {', '.join(f'{k}={v}' for k, v in default.items())}.")
        if mapping.tool:
            _require_tool(path, source, tool, {**default, **given})
    chosen = {**default, **given}
    found: dict[str, tuple[str, ...]] = {}
    for name in FIELDS:
        wanted = [column for column in chosen.get(name, "").split("|") if column]
        found[name] = tuple(
            column if column in source.columns else exact[plain_name(column)]
            for column in wanted
            if column in source.columns or plain_name(column) in exact
        )
        if name in given and wanted and not found[name]:
            raise _missing(path, source, given[name])
    missing = [name for name in (schema.USER_ID, schema.EVENT_TIME) if not found[name]]
    if missing:
        raise _missing(path, source, ", ".join(missing))
    _require_in_every_file(source, found)
    _require_used(mapping, found)
    return found


def _require_tool(path: Path, source: Source, tool: str, columns: Mapping[str, str]) -> None:
    """Refuse an export that lacks the columns of the tool that is named."""
    exact = {plain_name(name) for name in source.columns}
    for field in (schema.USER_ID, schema.EVENT_TIME):
        if not any(column in source.columns or plain_name(column) in exact for column in columns[field].split("|")):
            told = tool_of(source.columns)
            raise InputError(
                f"{path} is not an export of {tool}.",
                printable(f"{tool} has {field} in {columns[field]}. The file has: {_shown(source)}."),
                f"Its columns are those of {told}: leave --tool out, or give --tool {told}."
                if told
                else "Leave --tool out, and say which column is which: --columns user_id=...,event_time=...",
            )


def _require_used(mapping: EventsMapping, found: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse settings for the values of a column that is not there, instead of leaving them out in silence."""
    for setting, field, option in (
        (mapping.page_types, schema.PAGE_TYPE, "--page-types"),
        (mapping.platforms, schema.PLATFORM, "--platforms"),
        (mapping.offset_unit, schema.UTC_OFFSET_MINUTES, "--offset-unit"),
    ):
        if setting and not found[field]:
            raise InputError(
                f"{option} has no column to read.",
                f"No column is {field}, so that the option would change nothing.",
                f"Say which column it is, --columns {field}=..., or leave {option} out.",
            )


def _shown(source: Source) -> str:
    columns = list(source.columns)
    return (", ".join(columns[:40]) + (f" and {len(columns) - 40} more" if len(columns) > 40 else "")) or "none"


def _require_in_every_file(source: Source, found: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a folder in which a file lacks a column: its rows would be empty there, without a word of the file."""
    for file, names in source.columns_by_file.items():
        for field in (schema.USER_ID, schema.EVENT_TIME, schema.PAGE_TYPE):
            wanted = [column for column in found[field] if column.partition(".")[0].lower() not in names]
            if names and wanted and len(wanted) == len(found[field]):
                shown = ", ".join(sorted(names)[:40])
                raise InputError(
                    printable(f"{file} has other columns than the files beside it."),
                    printable(f"Missing column: {'|'.join(wanted)}. It has: {shown or 'none'}."),
                    f"Name its column too, --columns {field}={wanted[0]}|..., or keep the file elsewhere.",
                )


def _missing(path: Path, source: Source, names: str) -> InputError:
    columns = list(source.columns)
    if len(columns) == 1 and re.search(r"[,;|\t]", columns[0]):
        cause, remedy = (why_not_cut(path) if path.is_file() else None) or (
            f"Its header is {columns[0]!r}, but its rows cannot be cut at the separator in it.",
            "Check the rows: each must have as many fields as the header, and every quote must be closed.",
        )
        return InputError(f"{path} was read as one column.", printable(cause), printable(remedy))
    return InputError(
        f"{path} is not a file of events that can be read as it is.",
        printable(f"Missing column: {names}. It has: {_shown(source)}."),
        "Give a header line, or say which column is which: --columns user_id=...,event_time=...",
    )


def value_of(export: Export, field: str) -> str:
    """Return the SQL of a field: times and numbers as they are, others as text; NULL where it is empty."""
    if (field == schema.EVENT_TIME and export.is_timestamp(field)) or (
        field in (schema.UTC_OFFSET_MINUTES, schema.PAGE_TYPE) and export.is_number(field)
    ):
        return export.source.columns[export.columns[field][0]]
    texts = []
    for column in export.columns[field]:
        expression = export.source.columns[column]
        text = f"decode({expression})" if export.source.types[column] == "BLOB" else f"{expression}::VARCHAR"
        texts.append(f"nullif({text}, '')")
    return f"coalesce({', '.join(texts)})" if texts else "NULL::VARCHAR"
