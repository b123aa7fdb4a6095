"""The commands of the Makefile, interrupted at their steps: how many leave nothing running.

After SIGKILL the next ``make down`` may end what is left. What is looked for is in `benchmarks.interrupted`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM
from typing import Final

from rich.console import Console

from benchmarks.interrupted import SMALL, Checkout, Outcome, Point
from benchmarks.pipeline import Figure

SUBJECT: Final = "interruptions"
ALONE: Final = (
    Point("up", "up begins", SIGINT),
    Point("up", "the region is starting", SIGTERM),
    Point("up", "the region is starting", SIGKILL),
    Point("demo", "begins", SIGINT),
    Point("demo", "sam build", SIGTERM),
    Point("demo", "sam build", SIGKILL),
    Point("demo", "the region is starting", SIGHUP),
    Point("demo", "the region has started", SIGKILL, "make"),
    Point("demo", "sam deploy", SIGINT),
    Point("demo", "sam deploy", SIGKILL, "program"),
    Point("demo", "events are uploaded", SIGTERM),
    Point("demo", "Preprocess", SIGHUP),
    Point("demo", "Preprocess", SIGKILL),
    Point("demo", "Train", SIGINT),
    Point("demo", "Train", SIGKILL, "program"),
    Point("demo", "Evaluate", SIGTERM, "program"),
    Point("demo", "the endpoint starts", SIGINT),
    Point("the demo's region", "Preprocess", SIGKILL, "program"),
    Point("the demo's region", "Train", SIGTERM, "program"),
    Point("region", "the region has started", SIGHUP),
    Point("lift", "Train", SIGTERM),
    Point("lift", "the experiment", SIGINT),
    Point("lift", "the experiment", SIGKILL),
    Point("console of an account", "it answers", SIGKILL, "make"),
)
WITH_A_MODEL: Final = (
    Point("console", "it answers", SIGINT),
    Point("console", "it answers", SIGTERM),
    Point("forecast", "Build requests", SIGINT),
    Point("forecast", "Forecast", SIGHUP),
    Point("forecast", "Plan sends", SIGTERM),
    Point("forecast", "Plan sends", SIGKILL),
)
"""In a region with a model in production, which stays; the last one ends it."""


def measure(quick: bool = False) -> list[Figure]:
    """Interrupt at all points; `quick` at the first ones of each kind, which need no training."""
    with tempfile.TemporaryDirectory(prefix="interrupted-") as folder:
        checkout = Checkout(Path(folder) / "checkout")
        outcomes = [_interrupt(checkout, point) for point in (ALONE[:2] if quick else ALONE)]
        if not quick:
            checkout.run("make", "up", "PORT=0")
            checkout.run("make", "demo", f"DEMO_ARGS={SMALL}")
            outcomes += [_interrupt(checkout, point) for point in WITH_A_MODEL]
    good = sum(not outcome.wrong for outcome in outcomes)
    return [
        Figure(SUBJECT, f"leave nothing, of {len(outcomes)}", good, "", f"{len(outcomes)}"),
        Figure(SUBJECT, "longest", max(outcome.seconds for outcome in outcomes), "s"),
    ]


def _interrupt(checkout: Checkout, point: Point) -> Outcome:
    outcome = checkout.interrupt(point)
    console = Console(highlight=False)
    console.print(f"{point}: {'; '.join(outcome.wrong) or 'nothing left'} ({outcome.seconds:.0f} s)", markup=False)
    if outcome.wrong:
        console.print(outcome.output[-2000:], markup=False)
    return outcome
