"""Measure what the documentation claims; print tables and write ``build/bench/results.json``.

``python -m benchmarks [--events FILE] [--clone] [--only NAME ...] [--quick]``: the whole demo on simulated events and,
if a file is given, on real ones, and with ``--clone`` from a fresh clone to its end; preprocessing by size.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from benchmarks import (
    events,
    feedback,
    forecast,
    history,
    interruptions,
    learning_curve,
    lift,
    policy,
    preprocessing,
    quality,
    sends,
    serving,
    serving_attack,
    simulated,
    storage,
    training,
    what_if,
    zones,
)
from benchmarks.pipeline import Figure, from_clone, run_demo

RESULTS = Path("build/bench/results.json")


def main() -> int:
    """Run the chosen measurements; return 0 if all of them succeeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=Path, help="also measure the demo on this events file (Parquet or CSV)")
    parser.add_argument("--clone", action="store_true", help="also measure from a fresh clone to the finished demo")
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHMARKS), help="run these alone")
    parser.add_argument("--quick", action="store_true", help="small sizes, to check that it runs")
    options = parser.parse_args()

    figures: list[Figure] = []
    for name in options.only or (name for name in BENCHMARKS if name not in LONG):
        measured = BENCHMARKS[name](options)
        figures += measured
        show(name, measured)
        write(figures)  # at once: the next one may take long, or fail
    print(f"written to {RESULTS}")
    return 0


def demo(options: argparse.Namespace) -> list[Figure]:
    """Run the demo on simulated events and on real ones, if given; if asked, also from a clone."""
    figures = run_demo("simulated events", [])
    if options.events:
        figures += run_demo(options.events.name, ["--events", str(options.events.resolve())])
    if options.clone:
        figures += from_clone()
    return figures


BENCHMARKS: dict[str, Callable[[argparse.Namespace], list[Figure]]] = {
    "demo": demo,
    "preprocessing": lambda options: preprocessing.measure(options.quick),
    "events": lambda options: events.measure(options.quick),
    "forecast": lambda options: forecast.run_forecast((10_000,) if options.quick else forecast.USERS),
    "storage": lambda options: storage.measure(options.events, options.quick),
    "serving": lambda options: serving.measure(options.quick),
    "serving-attack": lambda options: serving_attack.measure(options.quick),
    "interruptions": lambda options: interruptions.measure(options.quick),
    "training": lambda options: training.measure(options.quick),
    "simulated": lambda options: simulated.measure(options.quick),
    "history": lambda options: history.measure(options.events, options.quick),
    "sends": lambda options: sends.measure(options.events, options.quick),
    "feedback": lambda options: feedback.measure(options.quick),
    "policy": lambda options: policy.measure(options.quick),
    "lift": lambda options: lift.measure(options.quick),
    "what-if": lambda options: what_if.measure(options.quick),
    "zones": lambda options: zones.measure(options.events, options.quick),
    "learning-curve": lambda options: learning_curve.measure(options.quick),
    "quality": lambda options: quality.measure(options.events) if options.events else [],
}
"""By name, in the order in which they run."""
LONG = ("learning-curve", "interruptions")
"""Take half an hour or more, so they run only when they are named."""


def show(name: str, figures: list[Figure]) -> None:
    """Print the figures of one benchmark."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    table = Table("what", "figure", Column("value", justify="right"), "unit", "target", title=f"{name}: {machine}")
    for figure in figures:
        table.add_row(figure.subject, figure.name, f"{figure.value:,.4g}", figure.unit, figure.target)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def write(figures: list[Figure]) -> None:
    """Write all figures so far, completely or not at all."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    written = RESULTS.with_suffix(".part")
    written.write_text(json.dumps([figure._asdict() for figure in figures], indent=2) + "\n", encoding="utf-8")
    written.replace(RESULTS)


if __name__ == "__main__":
    sys.exit(main())
