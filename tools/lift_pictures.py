"""Draw the pictures of docs/lift.md from simulated worlds.

    PYTHONPATH=. .venv/bin/python tools/lift_pictures.py docs/images

One shows hits beside the visits that pushes cause, in each world; the other shows an experiment that is looked at every
day.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks import lift_worlds
from demo.push_world import WORLDS
from functions.measure_lift.lift import BEST_HOUR, HEADLINE, HIT, RANDOM_HOUR, Lift, compare

TITLES = {
    "nothing": "pushes do nothing",
    "moved": "pushes move visits\nwithin the day",
    "caused": "pushes cause visits,\nand move some",
    "annoyed": "pushes annoy",
}
HITS, VISITS, TRUTH = "#b0b7c3", "#2563eb", "#111827"
SEED, DATES, WANTED = 5, 28, 0.1
LOOKED_AT = ("nothing", "caused")


def draw(folder: Path, users: int = 40_000, looked_at_users: int = 8_000) -> None:
    """Write ``hits-and-lift.svg`` and ``looks.svg``."""
    # The same picture has the same bytes.
    with mpl.rc_context(
        {"svg.hashsalt": "visitcast", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        _save(hits_and_lift(users), folder / "hits-and-lift.svg")
        _save(looks(looked_at_users), folder / "looks.svg")


def hits_and_lift(users: int) -> Figure:
    """Draw, for each world, what a hit rate claims, what the report says, and the truth."""
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    axes = figure.subplots()
    for place, world in enumerate(WORLDS):
        lifts, result = _experiment(world, users)
        arms, lift = result.looks[-1], lifts[-1]
        hits = arms[BEST_HOUR].outcomes[HIT].rate / arms[RANDOM_HOUR].outcomes[HIT].rate - 1
        reported = np.array([lift.relative, lift.relative_low, lift.relative_high], dtype=np.float64)
        axes.bar(place - 0.2, 100 * hits, 0.36, color=HITS, label="hits within two hours: best hour over random hour")
        axes.bar(place + 0.2, 100 * reported[0], 0.36, color=VISITS, label="visits caused: best hour over no push")
        reach = 100 * np.abs(reported[1:] - reported[0])[:, None]
        axes.errorbar(place + 0.2, 100 * reported[0], yerr=reach, color=TRUTH, capsize=3, linewidth=1)
        truth = 100 * _truth(result)[1][-1]
        axes.plot(place + 0.2, truth, "D", color="white", markeredgecolor=TRUTH, markersize=5, label="truth")
        axes.annotate(f"{100 * hits:+.0f}%", (place - 0.2, 100 * hits), ha="center", va="bottom")
    axes.axhline(0, color=TRUTH, linewidth=0.8)
    axes.set_xticks(range(len(WORLDS)), [TITLES[world] for world in WORLDS])
    axes.set_ylabel("%")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), frameon=False, loc="upper right")
    return figure


def looks(users: int) -> Figure:
    """Draw the interval after each date, in a world where pushes do nothing and in one where they cause visits."""
    figure = Figure(figsize=(7.5, 3.0), layout="constrained")
    for axes, world in zip(figure.subplots(1, 2, sharey=True), LOOKED_AT, strict=True):
        lifts, result = _experiment(world, users)
        names = ("difference", "low", "high", "one_look_low", "one_look_high")
        columns = [[getattr(lift, name) for name in names] for lift in lifts]
        middle, low, high, one_low, one_high = 1000 * np.array(columns, dtype=np.float64).T
        dates = np.arange(1, len(lifts) + 1)
        axes.fill_between(dates, low, high, color=VISITS, alpha=0.2, linewidth=0, label="holds at all looks together")
        axes.fill_between(dates, one_low, one_high, color=VISITS, alpha=0.3, linewidth=0, label="holds at one look")
        axes.plot(dates, middle, color=VISITS, label="reported")
        axes.plot(dates, 1000 * _truth(result)[0], color=TRUTH, linestyle="--", linewidth=1, label="truth")
        axes.set_title(TITLES[world].replace("\n", " "), fontsize=9)
        axes.set_xlabel("days of the experiment")
        axes.set_ylim(-60, 100)
    figure.axes[0].set_ylabel("visits caused per 1,000 pushes")
    figure.axes[1].legend(frameon=False, loc="lower right")
    return figure


def _experiment(world: str, users: int) -> tuple[list[Lift], lift_worlds.Experiment]:
    rng = np.random.default_rng([SEED, list(WORLDS).index(world)])
    result = lift_worlds.run(rng, lift_worlds.population(rng, users, DATES), WORLDS[world])
    return [compare(arms, HEADLINE, lift_worlds.SHARES, WANTED) for arms in result.looks], result


def _truth(result: lift_worlds.Experiment) -> tuple[lift_worlds.Floats, lift_worlds.Floats]:
    return lift_worlds.truth([result.expected[BEST_HOUR]])


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasSVG(figure)
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw both; return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    draw(parser.parse_args(arguments).folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
