"""Which columns of an export are those of the events table."""

from __future__ import annotations

import re
from pathlib import Path

from visitcast.data import schema
from visitcast.errors import InputError
from visitcast.events.export import Export
from visitcast.events.mapping import FIELDS, TOOLS, EventsMapping, plain_name, tool_of
from visitcast.events.source import Source, printable


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
    return found


def _missing(path: Path, source: Source, names: str) -> InputError:
    columns = list(source.columns)
    if len(columns) == 1 and re.search(r"[,;|\t]", columns[0]):
        return InputError(
            f"{path} was read as one column.",
            printable(f"Its header is {columns[0]!r}, but its rows cannot be cut at the separator in it."),
            "Check the rows: each must have as many fields as the header, and every quote must be closed.",
        )
    shown = ", ".join(columns[:40]) + (f" and {len(columns) - 40} more" if len(columns) > 40 else "")
    return InputError(
        f"{path} is not a file of events that can be read as it is.",
        printable(f"Missing column: {names}. It has: {shown or 'none'}."),
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
