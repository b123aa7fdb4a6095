"""The command line: ``python -m demo``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console

from demo.errors import DemoError
from demo.run import Options, run_demo
from demo.simulator import World


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 exactly when the execution succeeded."""
    options = options_of(arguments)
    return interruptible(lambda console: run_demo(options, console))


def interruptible(work: Callable[[Console], int]) -> int:
    """Call a function that stops what it started even if interrupted; return its exit status, 130 if interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        return work(console)
    except DemoError as error:
        console.print(f"FAILED\n{error}", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted: everything that was started has been stopped.")
        return 130


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    world = World()
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="Run the training pipeline in the local region, from events to a forecast."
    )
    parser.add_argument("--events", type=Path, metavar="FILE", help="your events, Parquet or CSV; default: simulated")
    parser.add_argument("--users", type=int, default=world.users, help="users to simulate (%(default)s)")
    parser.add_argument("--days", type=int, default=world.days, help="days to simulate (%(default)s)")
    parser.add_argument("--end", type=date.fromisoformat, default=world.end, help="last simulated date (yesterday)")
    parser.add_argument("--seed", type=int, default=world.seed, help="of the simulation (%(default)s)")
    parser.add_argument("--input", type=Path, metavar="FILE.json", help="execution input (default: none)")
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


def options_of(arguments: Sequence[str] | None) -> Options:
    """Read the demo's options; an invalid one ends the program."""
    parsed = _parser().parse_args(arguments)
    return Options(
        events=parsed.events,
        world=World(users=parsed.users, days=parsed.days, end=parsed.end, seed=parsed.seed),
        execution_input=_execution_input(parsed.input, dict(parsed.hyperparameter)),
        stack_name=parsed.stack_name,
        keep=parsed.keep,
        home=parsed.home,
        output=parsed.output,
    )


ARTICLE_MODEL: dict[str, Any] = {"Evaluation": {"ArticleModelEpochs": 20}}
"""The demo compares with the article's model; --input may replace it."""


def _execution_input(path: Path | None, hyperparameters: dict[str, str]) -> dict[str, Any]:
    try:
        given = ARTICLE_MODEL | (json.loads(path.read_text(encoding="utf-8")) if path else {})
    except (OSError, ValueError) as error:
        raise SystemExit(f"--input {path} cannot be read: {error}") from error
    if hyperparameters:
        given["Hyperparameters"] = {**given.get("Hyperparameters", {}), **hyperparameters}
    return dict(given)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
