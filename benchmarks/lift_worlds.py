"""Many experiments in simulated worlds whose truth is known, reduced to the sums that the lift is computed from.

Users differ in how often they come and stay away for days on end. Some join while the experiment runs. P(comes) is
estimated from their visits before it. What a push does is the world's law (:mod:`demo.push_world`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.push_world import Law
from functions.measure_lift.estimate import Sums
from functions.measure_lift.lift import (
    BEST_HOUR,
    DATE,
    GLOBAL_BEST_HOUR,
    HIT,
    NO_PUSH,
    RANDOM_HOUR,
    SENT,
    Arm,
)

SHARES = {BEST_HOUR: 0.8, GLOBAL_BEST_HOUR: 0.05, RANDOM_HOUR: 0.05, NO_PUSH: 0.1}
"""The defaults of the workflow's input."""
COMES, ALIKE = 0.2, 0.27
"""Mean chance that a user comes on a date, and the correlation of a user's dates."""
PRESENT, BREAK_DAYS = 0.8, 10
"""Share of the users who are not on a break, and its mean length."""
JOINS = 0.3
"""Share of the users who join during the experiment."""
PLANNED = 0.95
"""Share of the dates with a send to the user; rules bar the others."""
HISTORY_DAYS, HALF_LIFE_DAYS = 40, 20
IN_THE_HOURS = {BEST_HOUR: 0.46, GLOBAL_BEST_HOUR: 0.23, RANDOM_HOUR: 0.195, NO_PUSH: 0.46}
"""Share of visit days with a visit within two hours of the send if pushes do nothing: the demo world's test dates."""
FREE = {BEST_HOUR: 0.8, GLOBAL_BEST_HOUR: 0.4, RANDOM_HOUR: 0.25}
"""Share of the users for whom the arm's hour is a free one."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Population:
    """Users of one experiment.

    Attributes
    ----------
    chance : float array [U, D]
        Of a visit on each date by itself.
    planned : bool array [U, D]
        Whether the user has a send on the date.
    prediction : float array [U]
        P(comes), estimated before the first date.
    """

    chance: Floats
    planned: Bools
    prediction: Floats


@dataclass(frozen=True)
class Experiment:
    """Result of one experiment.

    Attributes
    ----------
    looks : list
        Of each date the arms with their sums so far.
    expected : mapping
        Of each arm [D, 3]: sums so far over all users, had all been in that arm: sends, expected visits on the date
        without pushes, and with the arm's pushes.
    """

    looks: list[dict[str, Arm]]
    expected: dict[str, Floats]


def population(rng: np.random.Generator, users: int, dates: int) -> Population:
    """Draw users with their breaks and their history."""
    concentration = 1 / ALIKE - 1
    rate = np.minimum(rng.beta(COMES * concentration, (1 - COMES) * concentration, users) / PRESENT, 1)
    present = np.empty((users, HISTORY_DAYS + dates), dtype=np.bool_)
    state = rng.random(users) < PRESENT
    back = 1 / BREAK_DAYS
    leaves = back * (1 - PRESENT) / PRESENT
    for day in range(present.shape[1]):
        drawn = rng.random(users)
        state = np.where(state, drawn >= leaves, drawn < back)
        present[:, day] = state
    chance = rate[:, None] * present
    visits = rng.random((users, HISTORY_DAYS)) < chance[:, :HISTORY_DAYS]
    weight = 0.5 ** (np.arange(HISTORY_DAYS, 0, -1) / HALF_LIFE_DAYS)
    first = np.where(rng.random(users) < JOINS, rng.integers(1, dates, users), 0)
    planned = (np.arange(dates) >= first[:, None]) & (rng.random((users, dates)) < PLANNED)
    return Population(
        chance=chance[:, HISTORY_DAYS:],
        planned=planned,
        prediction=(visits @ weight + 2 * COMES) / (weight.sum() + 2),
    )


def run(rng: np.random.Generator, people: Population, law: Law, lost: float = 0.0) -> Experiment:
    """Put the users into arms, send, and add up at each look.

    Parameters
    ----------
    lost : float
        Share of the pushes that a broken hand-over loses, while the sends withheld from no_push are all recorded.
    """
    users, dates = people.chance.shape
    arm = rng.choice(len(SHARES), users, p=list(SHARES.values()))
    sums: dict[str, list[Arm]] = {}
    expected: dict[str, Floats] = {}
    for number, name in enumerate(SHARES):
        chosen = np.asarray(arm == number)
        pushed = name != NO_PUSH
        free = _free(rng, name, users, dates)
        # Without pushes everybody is asked, with pushes the chance of having opted out is known for everybody too.
        out = 1 - (1 - law.opts_out) ** _before(people.planned) if pushed else np.zeros((1, dates))
        visits = people.chance * (1 - law.stays_away * out) + (1 - people.chance) * free * law.caused * (1 - out)
        parts = [people.planned, people.planned * people.chance, people.planned * visits]
        expected[name] = np.stack([part.sum(axis=0).cumsum() for part in parts], axis=1)
        sums[name] = _arm(rng, name, people, chosen, free[chosen], law, lost if pushed else 0.0)
    return Experiment([{name: looks[date] for name, looks in sums.items()} for date in range(dates)], expected)


def truth(expected: list[Floats]) -> tuple[Floats, Floats]:
    """Return the visits that an arm's pushes cause after each date, per send and relative to no push, both [D].

    Parameters
    ----------
    expected : list of float array [D, 3]
        Of that arm in each experiment; see `Experiment`.
    """
    sends, without, with_pushes = np.moveaxis(np.sum(expected, axis=0), 1, 0)
    return (with_pushes - without) / sends, with_pushes / without - 1


def _free(rng: np.random.Generator, arm: str, users: int, dates: int) -> Bools:
    if arm == NO_PUSH:
        return np.zeros((users, 1), dtype=np.bool_)
    return np.asarray(rng.random((users, dates if arm == RANDOM_HOUR else 1)) < FREE[arm])


def _before(planned: Bools) -> NDArray[np.int64]:
    return np.asarray(planned.cumsum(axis=1) - planned)


def _arm(
    rng: np.random.Generator, name: str, people: Population, chosen: Bools, free: Bools, law: Law, lost: float
) -> list[Arm]:
    """Send to the users of an arm; return it as it is after each date."""
    chance, planned = people.chance[chosen], people.planned[chosen]
    drawn = rng.random(chance.shape) < chance
    out = np.zeros_like(planned)
    if law.opts_out and name != NO_PUSH:
        leaves = planned & (rng.random(planned.shape) < law.opts_out)
        out = leaves.cumsum(axis=1) - leaves > 0
        drawn &= ~(out & (rng.random(planned.shape) < law.stays_away))
    pushed = planned & ~out if name != NO_PUSH else np.zeros_like(planned)
    caused = pushed & ~drawn & free & (rng.random(planned.shape) < law.caused)
    moved = pushed & drawn & (rng.random(planned.shape) < law.moved)
    near = drawn & (rng.random(planned.shape) < IN_THE_HOURS[name])
    recorded = planned & (rng.random(planned.shape) >= lost) if lost else planned
    outcomes = {DATE: drawn | caused, HIT: near | moved | caused}
    sends, handed_over = recorded.cumsum(axis=1), (pushed & recorded).sum(axis=0).cumsum()
    of_outcomes = {
        outcome: _sums(sends, (recorded & happened).cumsum(axis=1), people.prediction[chosen])
        for outcome, happened in outcomes.items()
    }
    of_outcomes[SENT] = _sums((sends > 0).cumsum(axis=1), sends, people.prediction[chosen])
    return [
        Arm(date + 1, int(handed_over[date]), {outcome: looks[date] for outcome, looks in of_outcomes.items()})
        for date in range(planned.shape[1])
    ]


def _sums(sends: NDArray[Any], outcomes: NDArray[Any], prediction: Floats) -> list[Sums]:
    """Return the sums of each look from counts so far, [U, D]."""
    n, y, x = sends.astype(np.float64), outcomes.astype(np.float64), prediction
    nn, ny = n * n, n * y
    columns = [
        (sends > 0).sum(axis=0),
        n.sum(axis=0),
        y.sum(axis=0),
        x @ n,
        nn.sum(axis=0),
        (y * y).sum(axis=0),
        ny.sum(axis=0),
        (x * x) @ nn,
        x @ nn,
        x @ ny,
    ]
    return [Sums(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]
