"""The command line: ``python -m demo``."""

from __future__ import annotations

import argparse
import errno
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from demo import disk
from demo.errors import DemoError
from demo.events import mapping_of_options
from demo.lock import locked
from demo.region import INTERRUPTIONS
from demo.run import Options, run_demo
from demo.simulator import World
from demo.terminal import SafeConsole
from visitcast.events.command import Parser, mapping_options, with_events_args


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 exactly when the execution succeeded."""
    parser = Parser(
        prog="python -m demo",
        description="Run the training pipeline in the local region, from events to a forecast.",
        parents=[demo_options()],
    )
    parser.add_argument(
        "--input", type=_json_file, default={}, metavar="FILE.json", help="execution input (default: none)"
    )
    parsed = parser.parse_args(with_events_args(parser, arguments))
    options = options_of(parser, parsed, parsed.input)

    def work(console: Console) -> int:
        with locked(options.output / ".demo.lock"):
            return 0 if run_demo(options, console).succeeded else 1

    return interruptible(work)


def interruptible(work: Callable[[Console], int]) -> int:
    """Call a function that stops what it started even if interrupted.

    Returns
    -------
    int
        Exit status: the function's, or if interrupted 128 and the number of the signal, as shells have it.
    """
    for number in INTERRUPTIONS:
        # SIGHUP: the terminal was closed; `nohup` ignores it.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    console = SafeConsole(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        return work(console)
    except (DemoError, ClientError, BotoCoreError) as error:
        console.print(f"FAILED\n{error}\n{disk.hint()}".rstrip(), markup=False)
        return 1
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:  # not a file or folder
            raise
        unusable = DemoError(
            f"{error.filename or 'A file'} cannot be used.",
            f"{error.strerror}.",
            "The output folders, such as build/ and .aws-sam/, must be folders that you may write into.",
        )
        console.print(f"FAILED\n{unusable}\n{disk.hint()}".rstrip(), markup=False)
        return 1
    except Interruption as interruption:
        with suppress(OSError):  # the terminal has been closed
            console.print("Interrupted: everything that was started has been stopped.")
        return 128 + interruption.number


class Interruption(KeyboardInterrupt):
    """A signal asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise Interruption(number)


def demo_options() -> argparse.ArgumentParser:
    """Return the parent of the parsers of all commands that may run the demo."""
    world = World()
    parser = argparse.ArgumentParser(add_help=False, parents=[mapping_options()])
    parser.add_argument("--events", type=Path, metavar="PATH", help="your events, file or folder; default: simulated")
    parser.add_argument("--users", type=int, default=world.users, help="users to simulate (%(default)s)")
    parser.add_argument("--days", type=int, default=world.days, help="days to simulate (%(default)s)")
    parser.add_argument(
        "--end", type=iso_date, default=world.end, metavar="DATE", help="last simulated date (yesterday)"
    )
    parser.add_argument("--seed", type=int, default=world.seed, help="of the simulation (%(default)s)")
    parser.add_argument(
        "--hyperparameter", type=_pair, action="append", default=[], metavar="NAME=VALUE", help="for the training job"
    )
    parser.add_argument("--keep", action="store_true", help="leave the region running; stop it with `make down`")
    parser.add_argument("--stack-name", help="default: the one in samconfig.toml")
    parser.add_argument("--home", type=Path, default=Path("build/localaws"), help="of the region (%(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("build/demo"), help="for summary.json and logs (%(default)s)"
    )
    return parser


ARTICLE_MODEL: dict[str, Any] = {"Evaluation": {"ArticleModelEpochs": 20}}
"""The demo compares with the article's model; --input may replace it."""


def options_of(
    parser: argparse.ArgumentParser, parsed: argparse.Namespace, execution_input: Mapping[str, Any]
) -> Options:
    """Return the demo's options; an impossible world or mapping ends the program with the parser's usage."""
    try:
        world = World(users=parsed.users, days=parsed.days, end=parsed.end, seed=parsed.seed)
        mapping = mapping_of_options(parsed)
    except (ValueError, DemoError) as error:
        parser.error(str(error))
    given = ARTICLE_MODEL | dict(execution_input)
    if parsed.hyperparameter:
        given["Hyperparameters"] = {**given.get("Hyperparameters", {}), **dict(parsed.hyperparameter)}
    return Options(
        events=parsed.events,
        mapping=mapping,
        world=world,
        execution_input=given,
        stack_name=parsed.stack_name,
        keep=parsed.keep,
        home=parsed.home,
        output=parsed.output,
    )


def iso_date(text: str) -> date:
    """Read a date of the command line."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-11-22") from None


def json_object(text: str) -> dict[str, Any]:
    """Read an execution input of the command line."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object such as {{}}")
    return found


def _json_file(name: str) -> dict[str, Any]:
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be read: {error}") from None
    return json_object(text)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
