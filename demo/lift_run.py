"""``python -m demo.lift_run``: the lift of best-hour sends over the control arms.

If a stack is deployed, the lift of its sends so far, without running a workflow; otherwise that of an experiment in a
simulated world whose lift is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console

from demo import stack
from demo.cli import demo_options, interruptible, iso_date, options_of
from demo.lift import measure_lift, show_lift
from demo.lift_experiment import Experiment, run_experiment
from demo.lock import locked
from demo.production import deployed
from demo.region import region

SIMULATED = {"users": 1600, "days": 60}
"""Enough for the experiment; the demo's own world takes longer to train on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the lift; return 0 if that succeeded."""
    parser = argparse.ArgumentParser(prog="python -m demo.lift_run", description=__doc__, parents=[demo_options()])
    parser.set_defaults(**SIMULATED)
    parser.add_argument(
        "--until", type=iso_date, default=datetime.now(UTC).date(), metavar="DATE", help="last forecast date (today)"
    )
    parser.add_argument("--window", type=int, default=28, metavar="DAYS", help="dates to look at (%(default)s)")
    parser.add_argument("--hours", type=int, default=2, help="hours in which a visit answers a send (%(default)s)")
    parser.add_argument("--wanted", type=float, help="relative lift worth detecting (0.1; in the experiment 0.4)")
    parser.add_argument("--dates", type=int, default=3, help="of the experiment (%(default)s)")
    parsed = parser.parse_args(arguments)
    options = options_of(parser, parsed, {})

    def work(console: Console) -> int:
        with locked(options.output / ".demo.lock"), region(options.home, options.output / "logs", keep=options.keep):
            outputs = deployed(options.stack_name or stack.default_name())
            if outputs is None:
                run_experiment(Experiment(parsed.dates, parsed.hours, parsed.wanted or 0.4), options, console)
            else:
                show_lift(
                    console, measure_lift(outputs, parsed.until, parsed.window, parsed.hours, parsed.wanted or 0.1)
                )
        return 0

    return interruptible(work)


if __name__ == "__main__":
    raise SystemExit(main())
