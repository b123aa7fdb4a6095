"""Which hours a push may go out in, and the best of them.

Quiet hours, a send window, the gap since the last push, and a deadline all limit the choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.sending.send_times import NEVER, LocalHours, Minutes

NO_HOUR: Final = -1


@dataclass(frozen=True)
class SendRules:
    """What a campaign promises its users.

    Attributes
    ----------
    window : (int, int)
        Local hours from which and until which a push may go out; the end is not included. ``(9, 21)`` is 9:00 to
        20:59; ``(20, 2)`` spans midnight; two equal hours mean the whole day.
    quiet : (int, int) or None
        Local hours in which nothing goes out, whatever the window says.
    minimum_gap_minutes : int
        From one push to the next, for the same user.
    """

    window: tuple[int, int] = (0, 0)
    quiet: tuple[int, int] | None = (22, 7)
    minimum_gap_minutes: int = 20 * 60


def allowed_hours(rules: SendRules) -> NDArray[np.bool_]:
    """Tell for each local hour whether a push may go out in it, [24]."""
    inside = _span(*rules.window, whole_if_equal=True)
    return inside if rules.quiet is None else inside & ~_span(*rules.quiet, whole_if_equal=False)


def _span(start: int, end: int, *, whole_if_equal: bool) -> NDArray[np.bool_]:
    hour = np.arange(HOURS)
    if start % HOURS == end % HOURS:
        return np.full(HOURS, whole_if_equal or abs(end - start) == HOURS)
    return np.asarray((hour - start) % HOURS < (end - start) % HOURS)


def sendable(
    hours: LocalHours, allowed: NDArray[np.bool_], earliest: Minutes, latest: Minutes | None = None
) -> NDArray[np.bool_]:
    """Tell which hours each user may get a push in, [rows, S].

    Judged by what the clock on the wall shows at the moment of the push: an hour that is skipped in spring is as
    allowed as the hour that the push then falls into.

    Parameters
    ----------
    hours : LocalHours
        When the hours begin.
    allowed : bool array [24]
        What :func:`allowed_hours` gave.
    earliest, latest : int32 arrays [rows]
        Minutes since the epoch. An hour under way at ``earliest`` counts, with the rest of it.
    """
    on_the_wall = allowed[(hours.local // 60) % HOURS] & (hours.utc != NEVER)
    end = _ends(hours.utc)
    begins, ends = hours.utc[hours.clock], end[hours.clock]
    possible = on_the_wall[hours.clock] & ((ends > earliest[:, None]) | (begins >= earliest[:, None]))
    if latest is not None:
        possible &= np.maximum(begins, earliest[:, None]) <= latest[:, None]
    return np.asarray(possible)


def _ends(begins: Minutes) -> Minutes:
    last = np.where(begins[:, -1:] == NEVER, NEVER, begins[:, -1:] + 60)
    return np.concatenate([begins[:, 1:], last], axis=1).astype(np.int32)


@dataclass(frozen=True)
class Moments:
    """The best moment of each user.

    Attributes
    ----------
    hour : int64 array [rows]
        Position among the S hours; ``NO_HOUR`` where no hour may be used.
    utc : int32 array [rows]
        When to send, minutes since the epoch; ``NEVER`` where there is no hour.
    chance : float array [rows]
        Chance of a visit in that hour; 0 where there is none.
    """

    hour: NDArray[np.int64]
    utc: Minutes
    chance: NDArray[np.float64]


def best_moments(
    chance: NDArray[Any],
    hours: LocalHours,
    rules: SendRules,
    now: int,
    within_minutes: int,
    last_push: Minutes | None = None,
) -> Moments:
    """Answer "send now or wait?" for a push that must go out within some time.

    Parameters
    ----------
    chance : float array [rows, S]
        Chance of a visit in each hour, over one or more forecast dates.
    hours : LocalHours
        When these hours begin.
    rules : SendRules
        Window, quiet hours and gap.
    now : int
        Minutes since the epoch. The moment equals ``now`` where the present hour is the best.
    within_minutes : int
        The push must go out no later than this many minutes from now.
    last_push : int32 array [rows], optional
        When each user got the last push; a very small number for never.

    Returns
    -------
    Moments
        The hour with the highest chance; among equals the first.
    """
    earliest = np.full(len(chance), now, dtype=np.int32)
    if last_push is not None:
        after_gap = np.minimum(last_push.astype(np.int64) + rules.minimum_gap_minutes, NEVER - 1)
        earliest = np.maximum(earliest, after_gap).astype(np.int32)
    latest = np.full(len(chance), now + within_minutes, dtype=np.int32)
    possible = sendable(hours, allowed_hours(rules), earliest, latest)
    best = np.where(possible, chance, -1.0).argmax(axis=1)
    row = np.arange(len(chance))
    found = possible[row, best]
    begins, _ = hours.at(best)
    return Moments(
        hour=np.where(found, best, NO_HOUR),
        utc=np.where(found, np.maximum(begins, earliest), NEVER).astype(np.int32),
        chance=np.where(found, chance[row, best], 0.0),
    )
