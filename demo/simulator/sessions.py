"""Sessions and their page views, drawn from the daily probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.simulator.clock import MAX_SLOTS, SLOT_SECONDS, Clock

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LATE_SECONDS = 600
"""A session may run on into the next slot when its last view falls into this many last seconds of the slot."""

_MEAN_VIEWS = 2.8
_MEAN_GAP_SECONDS = 80.0


@dataclass(frozen=True)
class Sessions:
    """S sessions: the user, day and slot of each, and the V page views of all.

    Attributes
    ----------
    user, day, slot : int64 [S]
        Row of the user, index of the local day, index of the slot in that day.
    late : bool [S]
        Whether the last view lies so late in the slot that the session may run on.
    view_session : int64 [V]
        Session of each page view.
    view_second : int64 [V]
        Seconds from the slot's start to the page view, 0 to 3599.
    """

    user: Ints
    day: Ints
    slot: Ints
    late: NDArray[np.bool_]
    view_session: Ints
    view_second: Ints


def draw_sessions(
    rng: np.random.Generator, clock: Clock, zone: Ints, activity: Floats, intensity: Floats, run_on: Floats
) -> Sessions:
    """Draw all sessions of U users: those that start by themselves, then those that run on, until none does.

    Parameters
    ----------
    zone : int64 [U]
    activity : float [U, D]
        Probability that a day is on.
    intensity : float [U, D, 24]
        Expected starts per real hour of a day that is on.
    run_on : float [U]
        Probability that a late session runs on.
    """
    user, day, slot = _own_starts(rng, clock, zone, activity, intensity)
    start = rng.integers(0, SLOT_SECONDS, len(user))
    waves: list[Sessions] = []
    while len(user):
        view_session, view_second, last = _draw_views(rng, start)
        wave = Sessions(user, day, slot, last >= SLOT_SECONDS - LATE_SECONDS, view_session, view_second)
        waves.append(wave)
        goes_on = wave.late & (rng.random(len(user)) < run_on[user])
        user, day, slot = _next_slot(clock, zone, user[goes_on], day[goes_on], slot[goes_on])
        # At most 20 minutes lie between the two halves: the rule of 30 minutes still sees one visit.
        start = rng.integers(0, LATE_SECONDS, len(user))
    return _join(waves)


def _own_starts(
    rng: np.random.Generator, clock: Clock, zone: Ints, activity: Floats, intensity: Floats
) -> tuple[Ints, Ints, Ints]:
    is_on = rng.random(activity.shape) < activity
    user, day = np.nonzero(is_on)
    hour = clock.hour[zone[user], day]  # [on days, 25]
    expected = np.take_along_axis(intensity[user, day], np.maximum(hour, 0).astype(np.int64), axis=1)
    starts = (rng.random((len(user), MAX_SLOTS)) < -np.expm1(-expected)) & (hour >= 0)
    row, slot = np.nonzero(starts)
    return user[row], day[row], slot.astype(np.int64)


def _draw_views(rng: np.random.Generator, start: Ints) -> tuple[Ints, Ints, Ints]:
    """Page views of sessions that start at given seconds: (session [V], second [V], last second [S])."""
    views = rng.geometric(1 / _MEAN_VIEWS, len(start))
    session = np.repeat(np.arange(len(start)), views)
    first = np.cumsum(views) - views
    gap = 1 + rng.exponential(_MEAN_GAP_SECONDS, len(session)).astype(np.int64)
    gap[first] = 0
    elapsed = np.cumsum(gap)
    second = start[session] + elapsed - elapsed[first][session]
    inside = second < SLOT_SECONDS  # the first view always is
    session, second = session[inside], second[inside]
    last = np.zeros(len(start), np.int64)
    np.maximum.at(last, session, second)
    return session, second, last


def _next_slot(clock: Clock, zone: Ints, user: Ints, day: Ints, slot: Ints) -> tuple[Ints, Ints, Ints]:
    """Slots that follow the given ones, over midnight too; what leaves the simulated time is dropped."""
    over = slot + 1 == clock.slots[zone[user], day]
    day = np.where(over, day + 1, day)
    slot = np.where(over, 0, slot + 1)
    exists = day < len(clock.dates)
    exists[exists] = clock.slots[zone[user[exists]], day[exists]] > 0
    return user[exists], day[exists], slot[exists]


def _join(waves: list[Sessions]) -> Sessions:
    if not waves:
        nothing = np.zeros(0, np.int64)
        return Sessions(nothing, nothing, nothing, nothing.astype(np.bool_), nothing, nothing)
    before = np.cumsum([0, *(len(wave.user) for wave in waves)])
    return Sessions(
        user=np.concatenate([wave.user for wave in waves]),
        day=np.concatenate([wave.day for wave in waves]),
        slot=np.concatenate([wave.slot for wave in waves]),
        late=np.concatenate([wave.late for wave in waves]),
        view_session=np.concatenate([wave.view_session + n for wave, n in zip(waves, before, strict=False)]),
        view_second=np.concatenate([wave.view_second for wave in waves]),
    )
