"""``python -m demo.lift_run``: the visits that pushes cause, so far.

If a stack is deployed, of the sends of each of its campaigns, without running a workflow; otherwise of an experiment in
a simulated world, beside the truth.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from demo import stack
from demo.cli import demo_options, interruptible, iso_date, options_of
from demo.lift import campaigns, measure_lift, show_lift
from demo.lift_experiment import DEFAULTS, LAWS, Experiment, run_experiment
from demo.lock import locked
from demo.production import deployed
from demo.region import region
from visitcast.events.command import Parser, with_events_args

SIMULATED = {"users": 2200, "days": 60}
"""Enough for the experiment; the demo's own world takes longer to train on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the lift; return 0 if that succeeded."""
    parser = Parser(prog="python -m demo.lift_run", description=__doc__, parents=[demo_options()])
    parser.set_defaults(**SIMULATED)
    parser.add_argument(
        "--until", type=iso_date, default=datetime.now(UTC).date(), metavar="DATE", help="last forecast date (today)"
    )
    parser.add_argument("--window", type=at_least_one, metavar="DAYS", help="dates to look at (the campaign's)")
    parser.add_argument("--hours", type=at_least_one, help="a visit within these hours is a hit (the campaign's; 2)")
    parser.add_argument(
        "--wanted",
        type=above_zero,
        help=f"relative lift worth detecting (the campaign's; {DEFAULTS.wanted} in the experiment)",
    )
    parser.add_argument("--dates", type=at_least_one, default=DEFAULTS.dates, help="of the experiment (%(default)s)")
    parser.add_argument(
        "--law", choices=LAWS, default=DEFAULTS.world, help="what pushes do in the experiment (%(default)s)"
    )
    parsed = parser.parse_args(with_events_args(parser, arguments))
    options = options_of(parser, parsed, {})

    def work(console: Console) -> int:
        with locked(options.output / ".demo.lock"), region(options.home, options.output / "logs", keep=options.keep):
            outputs = deployed(options.stack_name or stack.default_name())
            if outputs is None:
                experiment = Experiment(
                    parsed.dates, parsed.hours or DEFAULTS.hours, parsed.wanted or DEFAULTS.wanted, parsed.law
                )
                run_experiment(experiment, options, console)
            else:
                _show_campaigns(console, outputs, parsed)
        return 0

    return interruptible(work)


def at_least_one(text: str) -> int:
    """Read a whole number from 1.

    Raises
    ------
    argparse.ArgumentTypeError
        It is something else.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def above_zero(text: str) -> float:
    """Read a finite number above 0.

    Raises
    ------
    argparse.ArgumentTypeError
        It is something else.
    """
    with suppress(ValueError):
        if 0 < (number := float(text)) < math.inf:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


def _show_campaigns(console: Console, outputs: dict[str, str], parsed: argparse.Namespace) -> None:
    sections = campaigns(outputs["ForecastStateMachineArn"])
    if not sections:
        console.print("Lift: no forecast has been published yet.")
    chosen = {"WindowDays": parsed.window, "ResponseHours": parsed.hours, "WantedRelativeLift": parsed.wanted}
    for section in sections:
        given: dict[str, Any] = section | {name: value for name, value in chosen.items() if value is not None}
        campaign = section["Campaign"]
        console.print(f"\nCampaign {campaign['Name']}, salt {campaign['Control']['Salt']}")
        show_lift(console, measure_lift(outputs, given, parsed.until, datetime.now(UTC)))


if __name__ == "__main__":
    raise SystemExit(main())
