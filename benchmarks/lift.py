"""Whether the reported lift is true: experiments in worlds with a known truth, looked at every day for four weeks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks import lift_worlds
from benchmarks.pipeline import Figure
from demo.push_world import WORLDS
from functions.measure_lift.estimate import estimate
from functions.measure_lift.lift import (
    ARMS_BROKEN,
    BEST_HOUR,
    DATE,
    GLOBAL_BEST_HOUR,
    HIGHER,
    HIT,
    LOWER,
    NO_PUSH,
    RANDOM_HOUR,
    compare,
)

EXPERIMENTS, USERS, DATES = 600, 8000, 28
QUICK_EXPERIMENTS, QUICK_USERS = 10, 8000
WANTED = 0.1
PLANNED_DATES = (7, 14, 28)
"""Dates at which somebody looks who looks once."""
LOST = 0.05
"""Share of the pushes that the broken hand-over loses."""
PUSHED = (BEST_HOUR, GLOBAL_BEST_HOUR, RANDOM_HOUR)
_COLUMNS = ("difference", "low", "high", "one_look_low", "one_look_high", "relative_low", "relative_high")


@dataclass(frozen=True)
class Found:
    """What the looks at one experiment in one world found.

    Attributes
    ----------
    figures : mapping
        Of each arm against no_push [D, 7]: difference, its interval for all looks and for one, interval of the ratio;
        NaN where none was reported.
    verdicts : mapping
        Of each arm against no_push, at each look.
    errors : float array [D, 2]
        Standard error of best_hour against no_push with the prediction and without.
    hits : mapping
        Share of the sends that were hits, by arm, at the last look.
    expected : mapping
        See `benchmarks.lift_worlds.Experiment`.
    """

    figures: dict[str, NDArray[np.float64]]
    verdicts: dict[str, list[str]]
    errors: NDArray[np.float64]
    hits: dict[str, float]
    expected: dict[str, NDArray[np.float64]]


def measure(quick: bool = False) -> list[Figure]:
    """Run all experiments and return the figures of each world."""
    experiments, users = (QUICK_EXPERIMENTS, QUICK_USERS) if quick else (EXPERIMENTS, USERS)
    figures = [Figure("all worlds", "experiments", experiments, ""), Figure("all worlds", "users of each", users, "")]
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(partial(experiment, users=users, dates=DATES), range(experiments), chunksize=10))
    for world in WORLDS:
        figures += of_world(world, [of_worlds[world] for of_worlds, _ in found])
    rings = float(np.mean([broken for _, broken in found]))
    figures.append(Figure("broken hand-over", f"{LOST:.0%} of the pushes lost: check rings", rings, "", "near 1"))
    return figures


def experiment(seed: int, users: int, dates: int) -> tuple[dict[str, Found], bool]:
    """Send to the same users in every world; also tell whether the check rings where the hand-over loses pushes."""
    rng = np.random.default_rng(seed)
    people = lift_worlds.population(rng, users, dates)
    found = {name: look(lift_worlds.run(rng, people, law)) for name, law in WORLDS.items()}
    broken = look(lift_worlds.run(rng, people, WORLDS["nothing"], lost=LOST))
    return found, ARMS_BROKEN in broken.verdicts[BEST_HOUR]


def look(result: lift_worlds.Experiment) -> Found:
    """Compare the arms after every date, as the workflow does."""
    figures, verdicts = {}, {}
    for arm in PUSHED:
        names = arm, NO_PUSH, DATE
        lifts = [compare(arms, names, lift_worlds.SHARES, WANTED) for arms in result.looks]
        columns = [[getattr(lift, name) for name in _COLUMNS] for lift in lifts]
        figures[arm] = np.array(columns, dtype=np.float64)
        verdicts[arm] = [lift.verdict for lift in lifts]
    errors = []
    for arms in result.looks:
        pair = [arms[name].outcomes[DATE] for name in (BEST_HOUR, NO_PUSH)]
        errors.append([math.sqrt(estimate(*pair, adjusted=adjusted).variance) for adjusted in (True, False)])
    hits = {name: arm.outcomes[HIT].rate for name, arm in result.looks[-1].items()}
    return Found(figures, verdicts, np.array(errors), hits, result.expected)


def of_world(world: str, found: list[Found]) -> Iterator[Figure]:
    """Yield the figures of a world."""
    hits = {arm: np.mean([one.hits[arm] for one in found]) for arm in (*PUSHED, NO_PUSH)}
    for control in (RANDOM_HOUR, GLOBAL_BEST_HOUR):
        name = f"hits within two hours, best_hour over {control}"
        yield Figure(world, name, float(hits[BEST_HOUR] / hits[control] - 1), "")
    for arm in PUSHED:
        truth, relative = lift_worlds.truth([one.expected[arm] for one in found])
        figures = np.stack([one.figures[arm] for one in found])
        difference, low, high, one_low, one_high, relative_low, relative_high = np.moveaxis(figures, 2, 0)
        yield Figure(f"{world}, {arm}", "truth: visits caused per 1,000 pushes", 1000 * truth[-1], "")
        yield Figure(f"{world}, {arm}", "truth: relative", relative[-1], "")
        yield Figure(f"{world}, {arm}", "reported, mean", 1000 * float(np.nanmean(difference[:, -1])), "")
        for date in PLANNED_DATES:
            reported = ~np.isnan(low[:, date - 1])
            inside = ((one_low <= truth) & (truth <= one_high))[reported, date - 1]
            name = f"interval of one look covers, date {date}"
            yield Figure(f"{world}, {arm}", name, float(inside.mean()), "", "0.93 to 0.97")
        # Where nothing was reported, nothing was wrong.
        wrong = (low > truth) | (high < truth)
        yield Figure(f"{world}, {arm}", "interval of all looks covers at every look", _never(wrong), "", ">= 0.95")
        wrong = (relative_low > relative) | (relative_high < relative)
        yield Figure(f"{world}, {arm}", "relative interval covers at every look", _never(wrong), "", ">= 0.95")
        yield Figure(
            f"{world}, {arm}",
            "interval of one look covers at every look",
            _never((one_low > truth) | (one_high < truth)),
            "",
        )
        for verdict in (HIGHER, LOWER):
            said = np.mean([verdict in one.verdicts[arm] for one in found])
            wanted = (
                "<= 0.05" if (verdict == HIGHER and truth[-1] <= 0) or (verdict == LOWER and truth[-1] >= 0) else ""
            )
            yield Figure(f"{world}, {arm}", f"says {verdict} at any look", float(said), "", wanted)
        rings = np.mean([ARMS_BROKEN in one.verdicts[arm] for one in found])
        yield Figure(f"{world}, {arm}", "check of the shares rings at any look", float(rings), "", "<= 0.005")
        reach = (high - low) / (one_high - one_low)
        yield Figure(
            f"{world}, {arm}", "interval of all looks / of one, last date", float(np.nanmean(reach[:, -1])), ""
        )
    errors = np.stack([one.errors for one in found])
    for date in PLANNED_DATES:
        shorter = float(1 - (errors[:, date - 1, 0] / errors[:, date - 1, 1]).mean())
        yield Figure(world, f"narrower by P(comes), date {date}", shorter, "", "about 0.3" if date == 14 else "")
    falls = np.log(errors[:, 6, 0] / errors[:, -1, 0]).mean() * 2 / math.log(errors.shape[1] / 7)
    yield Figure(world, "variance falls as dates to the power of", -float(falls), "")


def _never(wrong: NDArray[np.bool_]) -> float:
    return float((~wrong.any(axis=1)).mean())
