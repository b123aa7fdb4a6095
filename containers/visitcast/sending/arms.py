"""Arms of the experiment, assigned by a hash of the user: the same on every date and on every machine.

The hash of ``salt`` and ``user_id`` is a number in 0..1. Users below ``global_best_hour_share`` get their push at
the one hour that is best over all users, users at or above ``1 - random_hour_share`` at a random hour, users from 1/2
on, ``no_push_share`` of all, get none, and all others get it at their own best hour. As long as no arm is larger than a
half, a larger share moves users from the treatment to that arm, but none between the control arms. Another salt
reassigns all users, for the next experiment.

Every user has an hour in each arm, whatever the user's own arm is (``visitcast.sending.plan``). So the probability of
an hour over all assignments, its propensity, follows from the shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.errors import InputError

BEST_HOUR: Final = "best_hour"
GLOBAL_BEST_HOUR: Final = "global_best_hour"
RANDOM_HOUR: Final = "random_hour"
NO_PUSH: Final = "no_push"
ARMS: Final = (BEST_HOUR, GLOBAL_BEST_HOUR, RANDOM_HOUR, NO_PUSH)
"""An arm's code is its position here."""


@dataclass(frozen=True)
class ControlGroup:
    """Shares of the users in the control arms.

    Attributes
    ----------
    salt : str
        Name of the experiment.
    global_best_hour_share, random_hour_share, no_push_share : float
        Shares of the control arms, 0 to 1 together.
    """

    salt: str = "visitcast-1"
    global_best_hour_share: float = 0.05
    random_hour_share: float = 0.05
    no_push_share: float = 0.10

    def __post_init__(self) -> None:
        shares = (self.global_best_hour_share, self.random_hour_share, self.no_push_share)
        # Three decimal fractions that sum to 1 may miss it by a rounding error.
        if min(shares) < 0 or sum(shares) > 1 + 1e-9:
            raise InputError(
                "The control group is not possible.",
                f"Its arms have the shares {', '.join(map(str, shares))}.",
                "Choose shares of at least 0 that sum to at most 1.",
            )

    @property
    def best_hour_share(self) -> float:
        """Share of the treatment."""
        return max(0.0, 1 - self.global_best_hour_share - self.random_hour_share - self.no_push_share)


def arm_codes(user_ids: NDArray[Any], group: ControlGroup) -> NDArray[np.int8]:
    """Return the arm of each user, as its position in ``ARMS``."""
    place = hashed(user_ids, group.salt)
    codes = np.zeros(len(place), dtype=np.int8)
    codes[place < group.global_best_hour_share] = ARMS.index(GLOBAL_BEST_HOUR)
    codes[place >= 1 - group.random_hour_share] = ARMS.index(RANDOM_HOUR)
    last = 1 - group.random_hour_share - group.no_push_share
    first = min(max(0.5, group.global_best_hour_share), last)
    codes[(place >= first) & (place < first + group.no_push_share)] = ARMS.index(NO_PUSH)
    return codes


def random_hours(user_ids: NDArray[Any], group: ControlGroup, date: str, possible: NDArray[np.bool_]) -> NDArray[Any]:
    """Draw one of each user's possible hours, the same one if the date is run again.

    Parameters
    ----------
    user_ids : str array [rows]
        Users.
    group : ControlGroup
        Its salt is part of the draw.
    date : str
        Forecast date, so that a user's hour changes from day to day.
    possible : bool array [rows, 24]
        Hours in which each user may be sent a push.

    Returns
    -------
    int64 array [rows]
        Hours; 0 for a user without any possible hour.
    """
    count = possible.sum(axis=1)
    rank = (hashed(user_ids, f"{group.salt}/{date}") * count).astype(np.int64)
    return np.asarray((np.cumsum(possible, axis=1) > rank[:, None]).argmax(axis=1))


def propensities(
    group: ControlGroup,
    arm: NDArray[np.int8],
    hour: NDArray[np.int64],
    best: NDArray[np.int64],
    one_for_all: NDArray[np.int64],
    possible: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the probability, over all assignments of the arms, of what each user gets.

    Parameters
    ----------
    group : ControlGroup
        Shares of the arms.
    arm, hour : array [rows]
        What the user gets.
    best, one_for_all : int64 array [rows]
        Hours of the user in the arms ``best_hour`` and ``global_best_hour``.
    possible : bool array [rows, 24]
        Hours among which ``random_hour`` draws.

    Returns
    -------
    float64 array [rows]
        That the push goes out in this hour, or for ``no_push`` that there is none. Over the hours of a user and none
        they sum to 1.
    """
    chance = group.best_hour_share * (hour == best) + group.global_best_hour_share * (hour == one_for_all)
    chance = chance + group.random_hour_share / possible.sum(axis=1)
    return np.where(arm == ARMS.index(NO_PUSH), group.no_push_share, chance)


def hashed(user_ids: NDArray[Any], salt: str) -> NDArray[np.float64]:
    """Return a number in [0, 1) per user, from 53 bits of the BLAKE2b digest of salt, NUL and user."""
    # The salt is hashed once, and its state copied per user.
    state = blake2b(salt.encode() + b"\0", digest_size=8)
    numbers = np.empty(len(user_ids), dtype=np.uint64)
    for row, user in enumerate(user_ids.tolist()):
        of_user = state.copy()
        of_user.update(user.encode())
        numbers[row] = int.from_bytes(of_user.digest(), "big")
    # A double holds 53 bits: more would round up to 1.
    return np.asarray((numbers >> np.uint64(11)) * 2.0**-53)
