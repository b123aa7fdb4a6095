"""Which column of an export holds what: by the command line, by ``events.toml``, or as an analytics tool writes it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, get_args

from visitcast.data import schema
from visitcast.errors import InputError

OffsetUnit = Literal["minutes", "hours", "seconds"]
FIELDS: Final = (
    schema.USER_ID,
    schema.EVENT_TIME,
    schema.UTC_OFFSET_MINUTES,
    schema.TIME_ZONE,
    schema.PAGE_TYPE,
    schema.PLATFORM,
)
"""What a column can be mapped to. ``time_zone`` holds a name such as ``Europe/Berlin``."""
MAPPING_FILE: Final = "events.toml"
"""Name of the mapping that is read if it lies beside the events."""
_SETTINGS: Final = (
    "tool",
    "columns",
    "time_zone",
    "time_format",
    "offset_unit",
    "local_times",
    "page_types",
    "platforms",
)


@dataclass(frozen=True)
class EventsMapping:
    """How to read an export.

    Attributes
    ----------
    tool : str or None
        Tool of ``TOOLS`` that wrote the export; None tells it from the columns.
    columns : mapping
        From a field of ``FIELDS`` to the name of the column; ``a|b`` takes the first that is not empty, and an empty
        name means that the export does not have the field.
    time_zone : str or None
        IANA zone of every row without an offset or zone of its own.
    time_format : str or None
        ``strptime`` format of the times, if they are neither ISO 8601 nor numbers.
    offset_unit : {"minutes", "hours", "seconds"} or None
        Unit of the offset column; None tells it from the values.
    local_times : bool
        Whether times without an offset show the user's clock instead of UTC.
    page_types : mapping
        From a value of the page column to 1 to 4; ``*`` stands for every other value.
    platforms : mapping
        From a value of the platform column to a platform, before the known names.
    """

    tool: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    time_zone: str | None = None
    time_format: str | None = None
    offset_unit: OffsetUnit | None = None
    local_times: bool = False
    page_types: Mapping[str, int] = field(default_factory=dict)
    platforms: Mapping[str, str] = field(default_factory=dict)


_EXPORTS: Final = json.loads(Path(__file__).with_name("exports.json").read_text(encoding="utf-8"))
"""Also read by functions.publish_sql, which maps the columns of a table in Athena."""
TOOLS: Final[dict[str, Mapping[str, str]]] = {name: tool["columns"] for name, tool in _EXPORTS["tools"].items()}
"""Columns of the exports of analytics tools."""
PLATFORM_NAMES: Final[dict[str, str]] = _EXPORTS["platforms"]
"""From each platform to a regular expression of the names, in lower case, that exports have for it."""
_SIGNATURES: Final[dict[str, list[list[str]]]] = {name: tool["signatures"] for name, tool in _EXPORTS["tools"].items()}
"""Columns, in lower case, that tell a tool; the first that matches counts."""


def tool_of(columns: Iterable[str]) -> str | None:
    """Return the tool whose export has these columns, if one is known."""
    names = {plain_name(name) for name in columns}
    for tool, signatures in _SIGNATURES.items():
        if any(names.issuperset(signature) for signature in signatures):
            return tool
    return None


def plain_name(column: str) -> str:
    """Return a column's name without case, surrounding spaces and the difference between space, ``-`` and ``_``."""
    return column.strip().lower().replace(" ", "_").replace("-", "_")


def read_mapping(file: Path) -> EventsMapping:
    """Read ``events.toml``.

    Raises
    ------
    InputError
        The file is not TOML, or has a key or a value that does not exist.
    """
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file} cannot be read.", f"{error}", "Correct the file, or choose another.") from error
    return with_settings(EventsMapping(), found, f"{file}")


def with_settings(mapping: EventsMapping, settings: Mapping[str, Any], source: str) -> EventsMapping:
    """Return the mapping with some settings replaced; columns, page types and platforms are merged by name.

    Raises
    ------
    InputError
        A setting or its value does not exist; it names `source`.
    """
    for name, value in settings.items():
        if name not in _SETTINGS:
            close = get_close_matches(name, _SETTINGS, 1)
            meant = f"Did you mean {close[0]}? " if close else ""
            raise _wrong(source, f"{name!r} is not a setting.", f"{meant}Use {', '.join(_SETTINGS)}.")
        kind: type = dict if name in ("columns", "page_types", "platforms") else bool if name == "local_times" else str
        if not isinstance(value, kind):
            raise _wrong(source, f"{name} is {value!r}.", f"It must be a {kind.__name__}.")
    for name in settings.get("columns", {}):
        if name not in FIELDS:
            raise _wrong(source, f"columns has {name!r}.", f"Map {', '.join(FIELDS)}, such as user_id=anonymous_id.")
    if (tool := settings.get("tool")) is not None and tool not in TOOLS:
        raise _wrong(source, f"tool is {tool!r}.", f"Use {', '.join(TOOLS)}.")
    if (unit := settings.get("offset_unit")) is not None and unit not in get_args(OffsetUnit):
        raise _wrong(source, f"offset_unit is {unit!r}.", f"Use {', '.join(get_args(OffsetUnit))}.")
    for value, number in settings.get("page_types", {}).items():
        if number not in PAGE_TYPES:
            raise _wrong(source, f"page_types has {value}={number!r}.", "A page type is 1, 2, 3 or 4.")
    for value, platform in settings.get("platforms", {}).items():
        if platform not in schema.PLATFORMS:
            raise _wrong(source, f"platforms has {value}={platform!r}.", f"Use {', '.join(schema.PLATFORMS)}.")
    merged: dict[str, Any] = {
        name: {**getattr(mapping, name), **value} if isinstance(value, dict) else value
        for name, value in settings.items()
    }
    return replace(mapping, **merged)


PAGE_TYPES: Final = (1, 2, 3, 4)


def _wrong(source: str, cause: str, remedy: str) -> InputError:
    return InputError(f"{source} is not a mapping of events.", cause, remedy)
