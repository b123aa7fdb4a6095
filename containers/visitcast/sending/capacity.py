"""Spread sends so that no hour takes more than its share, losing as few expected visits as possible.

Every user goes to one hour at most; sending user u in hour h is worth the chance of a visit then, ``value[u, h]``; all
sends that fall into one bucket (an hour of UTC: the sender does not know local time) together stay within its capacity.
This is a transport problem. The vertices of its linear program are integers (the constraint matrix is totally
unimodular), so for few users HiGHS' simplex gives the exact answer. For many the program is too large, but its dual has
only one price per bucket: prices come from the exact program of a sample of users, and each user takes the hour with
the highest value minus price. Imbalance that the sampling left is repaired at the smallest loss. Any prices bound the
optimum from above (weak duality), so the result comes with a bound on its distance from the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

UNSENT: Final = -1
SAMPLE_USERS: Final = 4_000
"""About 96,000 variables: HiGHS takes a few seconds."""
_ROUNDS: Final = 60

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Assignment:
    """Hours of the users.

    Attributes
    ----------
    hour : int64 array [users]
        Position among the hours; ``UNSENT`` where the capacity does not suffice.
    value : float
        Expected visits.
    bound : float
        No assignment within the capacity has more expected visits than this.
    wanted : float
        Expected visits if every user got the hour with the highest value, as without any limit on the capacity.
    """

    hour: NDArray[np.int64]
    value: float
    bound: float
    wanted: float

    @property
    def gap(self) -> float:
        """Upper bound on the lost share of the best possible value."""
        return 0.0 if self.bound <= 0 else max(0.0, 1 - self.value / self.bound)


@dataclass(frozen=True)
class _Problem:
    """The assignment problem; :func:`spread` describes the arrays.

    ``worth`` is the value where a push is possible, and -inf elsewhere.
    """

    worth: Floats
    bucket: NDArray[np.int64]
    clock: NDArray[np.int64]
    capacity: NDArray[np.int64]

    def net(self, prices: Floats) -> Floats:
        """Return the worth minus the price of the bucket, [users, hours]."""
        return self.worth - prices[self.bucket][self.clock]

    def room(self, hour: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many sends each bucket can still take; negative if it is too full."""
        sent = hour != UNSENT
        load = np.bincount(self.bucket[self.clock[sent], hour[sent]], minlength=len(self.capacity))
        return self.capacity - load


def spread(
    value: NDArray[Any],
    bucket: NDArray[np.int64],
    clock: NDArray[np.int64],
    possible: NDArray[np.bool_],
    capacity: NDArray[np.int64],
    sample_users: int = SAMPLE_USERS,
    seed: int = 20,
) -> Assignment:
    """Assign users to hours within the capacity of the buckets.

    Parameters
    ----------
    value : float array [users, hours]
        Chance of a visit in the hour, >= 0.
    bucket : int64 array [clocks, hours]
        Bucket of each hour on each clock.
    clock : int64 array [users]
        Clock of each user.
    possible : bool array [users, hours]
        Hours in which a user may be sent a push.
    capacity : int64 array [buckets]
        Sends that each bucket takes.
    sample_users : int
        Up to this many users the answer is exact; with more, the prices come from a sample of this size.
    seed : int
        Seed of the sample.
    """
    users = len(value)
    worth = value.astype(np.float64)
    worth[~possible] = -np.inf  # np.where would hold a further matrix of all users, at the job's peak of memory
    problem = _Problem(worth, bucket, clock, capacity)
    hour = _first_choice(worth)
    wanted = _total(worth, hour)
    if (problem.room(hour) >= 0).all():
        return Assignment(hour, wanted, wanted, wanted)
    if users <= sample_users:
        hour, prices = _solve(worth, bucket[clock], capacity.astype(np.float64))
    else:
        rows = np.sort(np.random.default_rng(seed).choice(users, sample_users, replace=False))
        _, prices = _solve(worth[rows], bucket[clock[rows]], (capacity * (sample_users / users)).astype(np.float64))
        hour = _repaired(problem, prices, _at_prices(problem, prices))
    return Assignment(hour, _total(worth, hour), _bound(problem, prices), wanted)


def _first_choice(worth: Floats) -> NDArray[np.int64]:
    best = worth.argmax(axis=1)
    return np.where(np.isfinite(_pick(worth, best)), best, UNSENT)


def _solve(worth: Floats, bucket: NDArray[np.int64], capacity: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Solve the transport problem exactly: hours [users] and prices [buckets]. ``bucket`` is [users, hours]."""
    user, hour = np.nonzero(np.isfinite(worth))
    assigned = np.full(len(worth), UNSENT, dtype=np.int64)
    if len(user) == 0:
        return assigned, np.zeros(len(capacity))
    column = np.arange(len(user))
    row = np.concatenate([user, len(worth) + bucket[user, hour]])
    limits: Any = csr_array(
        (np.ones(2 * len(user)), (row, np.tile(column, 2))), shape=(len(worth) + len(capacity), len(user))
    )
    # Vertices of the polytope are integers; interior-point methods without crossover need not end in one.
    solved: Any = linprog(
        -worth[user, hour], A_ub=limits, b_ub=np.concatenate([np.ones(len(worth)), capacity]), method="highs-ds"
    )
    if solved.status != 0:
        raise RuntimeError(f"HiGHS could not solve the assignment: {solved.message}")
    chosen = solved.x > 0.5
    assigned[user[chosen]] = hour[chosen]
    return assigned, np.maximum(-solved.ineqlin.marginals[len(worth) :], 0.0)


def _at_prices(problem: _Problem, prices: Floats) -> NDArray[np.int64]:
    net = problem.net(prices)
    best = net.argmax(axis=1)
    # Not sending is worth 0: at a price above the value it is the better choice.
    return np.where(_pick(net, best) >= 0, best, UNSENT)


def _bound(problem: _Problem, prices: Floats) -> float:
    """Value of the dual: the users' gain at these prices, plus the value of the capacity."""
    net = problem.net(prices).max(axis=1)
    return float(np.maximum(net, 0.0).sum() + prices @ problem.capacity)


def _repaired(problem: _Problem, prices: Floats, hour: NDArray[np.int64]) -> NDArray[np.int64]:
    """Move users out of buckets that are too full, and into better ones that have room, at the smallest loss."""
    worth, bucket, clock = problem.worth, problem.bucket, problem.clock
    hour = _emptied(problem, prices, hour)
    for _ in range(_ROUNDS):
        room = problem.room(hour)
        better = np.where((room > 0)[bucket][clock], worth, -np.inf)
        target = better.argmax(axis=1)
        gain = _pick(better, target) - np.where(hour == UNSENT, 0.0, _pick(worth, np.maximum(hour, 0)))
        wanting = np.flatnonzero(gain > 1e-12)
        if len(wanting) == 0:
            break
        moving = _best_within(wanting, gain[wanting], bucket[clock[wanting], target[wanting]], room)
        hour[moving] = target[moving]
    return hour


def _emptied(problem: _Problem, prices: Floats, hour: NDArray[np.int64]) -> NDArray[np.int64]:
    bucket, clock, net = problem.bucket, problem.clock, problem.net(prices)
    for _ in range(_ROUNDS):
        room = problem.room(hour)
        if (room >= 0).all():
            return hour
        crowded = np.flatnonzero((hour != UNSENT) & (room < 0)[bucket[clock, np.maximum(hour, 0)]])
        elsewhere = np.where((room > 0)[bucket][clock[crowded]], net[crowded], -np.inf)
        target = elsewhere.argmax(axis=1)
        there = _pick(elsewhere, target)
        target, there = np.where(there > 0, target, UNSENT), np.maximum(there, 0.0)
        gain = there - net[crowded, hour[crowded]]
        here = bucket[clock[crowded], hour[crowded]]
        leaving = _best_within(np.arange(len(crowded)), gain, here, -room)
        sent = leaving[target[leaving] != UNSENT]
        arriving = _best_within(sent, gain[sent], bucket[clock[crowded[sent]], target[sent]], room)
        unsent = leaving[target[leaving] == UNSENT]
        hour[crowded[arriving]] = target[arriving]
        hour[crowded[unsent]] = UNSENT
    return _cut(problem, hour)


def _cut(problem: _Problem, hour: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep in each bucket only the users with the highest value, so that the capacity holds in any case."""
    sent = np.flatnonzero(hour != UNSENT)
    bucket = problem.bucket[problem.clock[sent], hour[sent]]
    kept = _best_within(sent, problem.worth[sent, hour[sent]], bucket, problem.capacity)
    result = np.full(len(hour), UNSENT, dtype=np.int64)
    result[kept] = hour[kept]
    return result


def _best_within(
    items: NDArray[np.int64], gain: Floats, group: NDArray[np.int64], room: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Take from each group as many items as it has room for, those with the largest gain first."""
    order = np.lexsort((-gain, group))
    sorted_group = group[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_group, sorted_group)
    return items[order[rank < np.maximum(room, 0)[sorted_group]]]


def _total(worth: Floats, hour: NDArray[np.int64]) -> float:
    sent = hour != UNSENT
    return float(worth[sent, hour[sent]].sum())


def _pick(table: Floats, column: NDArray[np.int64]) -> Floats:
    return np.take_along_axis(table, column[:, None], axis=1)[:, 0]
