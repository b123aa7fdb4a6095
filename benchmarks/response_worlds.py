"""Worlds in which it is known at which hours a push causes a visit.

Users have the habits of the simulator. A push adds a visit with a fixed chance, if the user would not come within the
day anyway and the hour is one of the user's two to four free hours. The worlds differ in where these hours lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.sending.send_log import NO_SEND, Floats, SendLog
from visitcast.sending.send_window import SendRules, allowed_hours

PERSONAL: Final = "A: half around the habit, half at hours of their own"
EVENINGS: Final = "B: one in five around the habit, the others mostly in the evening"
HABITS: Final = "C: all around the habit"
ANSWERED: Final = 0.25
"""Chance that a push in a free hour brings a user who would not come."""
ALLOWED: Final = allowed_hours(SendRules())
_LEISURE: Final = {
    PERSONAL: {8: 0.1, 12: 0.25, 16: 0.2, 18: 0.1, 20: 0.35},
    EVENINGS: {12: 0.15, 16: 0.15, 20: 0.7},
}
"""Where the free hours of the others begin, and how often."""
_AROUND_HABIT: Final = {PERSONAL: 0.5, EVENINGS: 0.2, HABITS: 1.0}
_NO_PUSH_SHARE: Final = 0.1


@dataclass(frozen=True)
class ResponseWorld:
    """Users of a world.

    Attributes
    ----------
    visit_hour : float32 array [users, 24]
        Chance of a visit in each hour on a day with a visit.
    comes : float64 array [users]
        Probability that a user comes by itself.
    free : bool array [users, 24]
        Hours in which a push may bring the user.
    """

    visit_hour: NDArray[np.float32]
    comes: Floats
    free: NDArray[np.bool_]

    @property
    def caused(self) -> Floats:
        """Visits that a push in each hour causes, [users, 24]."""
        return np.asarray((1 - self.comes)[:, None] * ANSWERED * self.free)

    def log(self, rng: np.random.Generator, dates: int, random_share: float = 1.0) -> SendLog:
        """Draw the log of some dates: a tenth of the sends is withheld.

        Parameters
        ----------
        rng : Generator
            Of the sends and the outcomes.
        dates : int
            Sends of each user.
        random_share : float
            Share of the pushes at a random hour; the others go out at the best hour.
        """
        user = np.tile(np.arange(len(self.comes)), dates)
        possible = np.broadcast_to(ALLOWED, (len(user), HOURS))
        best = np.where(ALLOWED, self.visit_hour, -1).argmax(axis=1)[user]
        random = rng.choice(np.flatnonzero(ALLOWED), len(user))
        hour = np.where(rng.random(len(user)) < random_share, random, best)
        propensity = (1 - _NO_PUSH_SHARE) * (random_share / ALLOWED.sum() + (1 - random_share) * (hour == best))
        held = rng.random(len(user)) < _NO_PUSH_SHARE
        visited = rng.random(len(user)) < self.comes[user]
        visited |= ~held & self.free[user, hour] & (rng.random(len(user)) < ANSWERED)
        return SendLog(
            user=_names(len(self.comes))[user],
            hour=np.where(held, NO_SEND, hour),
            propensity=np.where(held, _NO_PUSH_SHARE, propensity),
            possible=possible,
            visit_hour=self.visit_hour[user],
            visit_probability=self.comes[user],
            visited=visited.astype(np.float64),
        )


def make_world(name: str, habits: NDArray[np.float32], comes: Floats, seed: int = 5) -> ResponseWorld:
    """Draw the free hours of users with these habits."""
    rng = np.random.default_rng(seed)
    starts = np.where(ALLOWED, habits, -1).argmax(axis=1) - rng.integers(0, 2, len(habits))
    if name in _LEISURE:
        others = rng.random(len(habits)) >= _AROUND_HABIT[name]
        starts[others] = rng.choice(list(_LEISURE[name]), others.sum(), p=list(_LEISURE[name].values()))
    length = rng.integers(2, 5, len(habits))
    hours = np.arange(HOURS)
    free = (hours >= starts[:, None]) & (hours < (starts + length)[:, None])
    return ResponseWorld(habits, comes, free)


@cache
def _names(users: int) -> NDArray[Any]:
    return np.array([f"user-{number:07d}" for number in range(users)], dtype=object)
