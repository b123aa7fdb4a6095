"""``python -m visitcast check FILE``: the data report of a log, and the options that say how a log is read."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NoReturn, get_args

from visitcast.errors import InputError
from visitcast.events.mapping import MAPPING_FILE, TOOLS, EventsMapping, OffsetUnit, read_mapping, with_settings
from visitcast.events.reading import reading
from visitcast.events.report import as_page, as_text, report_on
from visitcast.events.unreadable import printable

_COMMAND_LINE: Final = "The command line"
EVENTS_ARGS: Final = "--events-args"
"""Option whose text holds more options, see :func:`with_events_args`."""


class Parser(argparse.ArgumentParser):
    """A parser that proposes the option that was meant."""

    def error(self, message: str) -> NoReturn:
        """End the program with the usage, the mistake and what was meant."""
        unknown = message.removeprefix("unrecognized arguments: ") if message.startswith("unrecognized") else ""
        options = re.findall(r"--[a-z][a-z-]+", self.format_help())
        meant = [
            f"\n{word}: did you mean {close[0]}?"
            for word in (word.partition("=")[0] for word in unknown.split() if word.startswith("-"))
            if (close := get_close_matches(f"--{word.lstrip('-')}", options, 1))
        ]
        super().error(message + "".join(meant))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the data report; return 1 if the log cannot be used."""
    parser = Parser(prog="python -m visitcast check", description=__doc__, parents=[mapping_options()])
    parser.add_argument(
        "events", type=Path, nargs="?", help="CSV, TSV, JSON Lines or Parquet, packed or not, or a folder"
    )
    parser.add_argument("--page", type=Path, metavar="FILE.html", help="write the report as a page too")
    options = parser.parse_args(with_events_args(parser, arguments))
    if options.events is None:
        parser.error("name the file or the folder of the events; with make: EVENTS=export.csv")
    if options.page:
        options.page.unlink(missing_ok=True)  # a refused log must not leave the page of another
    try:
        with reading(options.events, mapping_of(options, options.events)) as events:
            report = report_on(events, options.events)
    except InputError as error:
        print(printable(f"REFUSED\n{error}"), file=sys.stderr)
        return 1
    print(as_text(report))
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(as_page(report), encoding="utf-8")
        print(f"\nAs a page: {options.page}")
    return 1 if report.refused else 0


def mapping_options() -> argparse.ArgumentParser:
    """Return the parent of the parsers of all commands that read a log."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("how the events are read")
    group.add_argument("--columns", type=pairs, metavar="user_id=COLUMN,...", help="which column is which")
    group.add_argument("--tool", choices=TOOLS, help="the tool that wrote the export; default: told from its columns")
    group.add_argument("--time-zone", metavar="ZONE", help="of rows without an offset, such as Europe/Berlin")
    group.add_argument("--time-format", metavar="FORMAT", help='such as "%%d.%%m.%%Y %%H:%%M"')
    group.add_argument("--offset-unit", choices=get_args(OffsetUnit), help="default: told from the values")
    group.add_argument(
        "--local-times", action="store_true", default=None, help="times without an offset show the users' clocks"
    )
    group.add_argument("--page-types", type=pairs, metavar="VALUE=1,...,*=4", help="default: the numbers 1 to 4")
    group.add_argument("--platforms", type=pairs, metavar="VALUE=web,...", help="default: told from usual names")
    group.add_argument("--mapping", type=Path, metavar="FILE", help=f"default: {MAPPING_FILE} beside the events")
    return parser


def with_events_args(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> list[str]:
    """Return the words of a command line, with the text after ``--events-args`` split into words as a shell would.

    ``make`` passes its variable ``EVENTS_ARGS`` in one piece, so that no shell reads ``a|b`` or ``properties.$name``.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if EVENTS_ARGS in words:
        place = words.index(EVENTS_ARGS)
        try:
            words[place : place + 2] = shlex.split("".join(words[place + 1 : place + 2]))
        except ValueError as error:
            parser.error(f"EVENTS_ARGS cannot be read: {error}".lower())
    return words


def mapping_of(options: argparse.Namespace, events: Path) -> EventsMapping:
    """Return the mapping of a command line: the file's settings, then those of the options.

    Raises
    ------
    InputError
        The file or an option holds a setting that does not exist.
    """
    file = options.mapping or _file_beside(events)
    mapping = read_mapping(file) if file else EventsMapping()
    given: dict[str, Any] = {
        name: getattr(options, name)
        for name in ("tool", "columns", "time_zone", "time_format", "offset_unit", "local_times", "platforms")
        if getattr(options, name) is not None
    }
    if options.page_types is not None:
        given["page_types"] = {
            value: int(number) if number.isdecimal() else number for value, number in options.page_types.items()
        }
    return with_settings(mapping, given, _COMMAND_LINE)


def pairs(text: str) -> dict[str, str]:
    """Read ``name=value,name=value``; an empty value is allowed."""
    found = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not (name.strip() and equals):
            raise argparse.ArgumentTypeError(f"{part!r} is not NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _file_beside(events: Path) -> Path | None:
    file = (events if events.is_dir() else events.parent) / MAPPING_FILE
    return file if file.is_file() else None
