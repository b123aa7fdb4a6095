"""The parameter EventsMapping: how a table of one's own is read, in the words of ``make check-events``."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, NoReturn

from functions.shared.bundle import EXPORTS

FIELDS: Final = ("user_id", "event_time", "utc_offset_minutes", "time_zone", "page_type", "platform")
UNITS: Final = ("minutes", "hours", "seconds")
PAGE_TYPES: Final = (1, 2, 3, 4)
PLATFORMS: Final = ("android", "ios", "web", "other")
_EXPORTS: Final = json.loads(EXPORTS.read_text(encoding="utf-8"))
TOOLS: Final[dict[str, Any]] = _EXPORTS["tools"]
PLATFORM_NAMES: Final[dict[str, str]] = _EXPORTS["platforms"]


class Refused(Exception):
    """The events table of one's own cannot be read: a headline, the cause and the remedy."""

    def __init__(self, headline: str, cause: str, remedy: str) -> None:
        super().__init__(f"{headline} {cause} {remedy}")
        self.headline, self.cause, self.remedy = headline, cause, remedy


@dataclass(frozen=True)
class EventsMapping:
    """How a table is read; the fields are those of visitcast.events.mapping.

    Attributes
    ----------
    columns
        From a field of `FIELDS` to the name of the column; ``a|b`` takes the first that is not empty.
    tool
        Tool whose export the table holds; None tells it from the columns.
    time_zone
        IANA zone of rows without an offset or zone of their own.
    time_format
        ``strptime`` format of the times, if they are neither ISO 8601 nor numbers.
    offset_unit
        Unit of the offset column; None tells it from the column's name.
    local_times
        Whether times without an offset show the user's clock instead of UTC.
    page_types, platforms
        From a value to a page type and a platform; ``*`` stands for every other page.
    partition
        Partition column with the UTC date of the events, by which queries leave dates out.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    tool: str | None = None
    time_zone: str | None = None
    time_format: str | None = None
    offset_unit: str | None = None
    local_times: bool = False
    page_types: Mapping[str, int] = field(default_factory=dict)
    platforms: Mapping[str, str] = field(default_factory=dict)
    partition: str | None = None


def read_mapping(text: str) -> EventsMapping:
    """Read options such as ``--columns user_id=customer --time-zone Europe/Berlin``.

    Raises
    ------
    Refused
        An option or its value does not exist.

    >>> read_mapping("--columns user_id=a|b,page_type= --page-types home=1,*=4").page_types
    {'home': 1, '*': 4}
    """
    parser = _Parser(prog="EventsMapping", add_help=False, allow_abbrev=False)
    parser.add_argument("--columns", type=_pairs, default={})
    parser.add_argument("--tool", choices=list(TOOLS))
    parser.add_argument("--time-zone")
    parser.add_argument("--time-format")
    parser.add_argument("--offset-unit", choices=UNITS)
    parser.add_argument("--local-times", action="store_true")
    parser.add_argument("--page-types", type=_pairs, default={})
    parser.add_argument("--platforms", type=_pairs, default={})
    parser.add_argument("--partition")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise _wrong(f"{error} in {text!r}.") from None
    found = parser.parse_args(words)
    _require(found.columns, FIELDS, "--columns", by_value=False)
    found.page_types = {value: int(n) if n.isdecimal() else n for value, n in found.page_types.items()}
    _require(found.page_types, PAGE_TYPES, "--page-types")
    _require(found.platforms, PLATFORMS, "--platforms")
    return EventsMapping(**vars(found))


def tool_of(columns: Iterable[str]) -> str | None:
    """Return the tool whose export has these columns, if one is known."""
    names = {plain_name(name) for name in columns}
    for name, tool in TOOLS.items():
        if any(names.issuperset(signature) for signature in tool["signatures"]):
            return name
    return None


def plain_name(column: str) -> str:
    """Return a column's name without case, surrounding spaces and the difference between space, ``-`` and ``_``."""
    return column.strip().lower().replace(" ", "_").replace("-", "_")


def columns_of(names: Iterable[str], mapping: EventsMapping, table: str) -> dict[str, tuple[str, ...]]:
    """Return a table's columns of each field of `FIELDS`; empty where it has none.

    Parameters
    ----------
    names
        Columns of the table, nested ones with dots.
    mapping
        What is given.
    table
        Its name, for errors.

    Raises
    ------
    Refused
        A column that is needed or named is missing.
    """
    exact = {plain_name(name): name for name in names}
    own: dict[str, str] = {name: name for name in FIELDS if name in exact}
    chosen = own
    tool = mapping.tool or tool_of(exact)
    if tool and (not {"user_id", "event_time"} <= own.keys() or tool == "amplitude" or mapping.tool):
        columns = TOOLS[tool]["columns"]
        chosen = {**columns, **{name: column for name, column in own.items() if name not in columns}}
    chosen = {**chosen, **mapping.columns}
    found = {}
    for name in FIELDS:
        wanted = [column for column in chosen.get(name, "").split("|") if column]
        found[name] = tuple(exact[plain_name(column)] for column in wanted if plain_name(column) in exact)
        if not found[name] and (name in ("user_id", "event_time") or (name in mapping.columns and wanted)):
            shown = ", ".join(list(exact.values())[:40])
            raise Refused(
                f"The table {table} cannot be read as events.",
                f"Missing column: {mapping.columns.get(name, name)}. It has: {shown or 'none'}.",
                "Say in EventsMapping which column is which: --columns user_id=...,event_time=...",
            )
    for setting, name in (
        (mapping.page_types, "page_type"),
        (mapping.platforms, "platform"),
        (mapping.offset_unit, "utc_offset_minutes"),
    ):
        if setting and not found[name]:
            raise _wrong(f"Values are given for {name}, but {table} has no such column.")
    return found


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        options = re.findall(r"--[a-z-]+", self.format_usage())
        words = [word for word in message.split() if message.startswith("unrecognized") and word.startswith("-")]
        meant = [close[0] for word in words if (close := get_close_matches(word, options, 1))]
        raise _wrong(f"{message}.{f' Did you mean {meant[0]}?' if meant else ''}")


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not (name.strip() and equals):
            raise argparse.ArgumentTypeError(f"{part!r} is not NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _require(pairs: Mapping[str, Any], allowed: Iterable[Any], option: str, *, by_value: bool = True) -> None:
    for name, value in pairs.items():
        if (value if by_value else name) not in allowed:
            raise _wrong(f"{option} has {name}={value}; allowed are {', '.join(map(str, allowed))}.")


def _wrong(cause: str) -> Refused:
    return Refused("EventsMapping cannot be read.", cause, "Write it as EVENTS_ARGS of make check-events.")
