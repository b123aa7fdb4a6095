"""The exact probability of each day's first-visit hour, and the log loss that no forecaster can beat.

With ``L[h] = intensity[u, d, h] * exposure[h]`` (exposure: real hours that clock hour ``h`` lasts on that date, 0 or 2
when the clocks change), ``a`` the probability that the day is on, and ``k`` the probability that a session of the
evening before runs on over midnight, given its page views:

    own[h]           = a * exp(-(L[0] + ... + L[h-1])) * (1 - exp(-L[h]))
    P(first = h)     = (1 - k) * own[h]   plus k at the day's first hour
    P(h | day active) = P(first = h) / (k + (1 - k) * sum(own))

``k = 1 - (1 - run_on) ** n`` for the ``n`` sessions that are late in the last slot of the day before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from demo.simulator.clock import Clock
from demo.simulator.sessions import Sessions
from visitcast.data.calendar import days_since_epoch
from visitcast.data.protocol import MINIMUM_HISTORY

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """N active local days, in order of user and date.

    Attributes
    ----------
    user : int64 [N]
        Number of the user.
    visit_date : int32 [N]
        Local date, days since 1970-01-01.
    first_visit_hour : int8 [N]
        What happened.
    probability : float32 [N, 24]
        Probability of each hour, given the habits, everything seen before the day, and that the day is active.
    """

    user: NDArray[np.int64]
    visit_date: NDArray[np.int32]
    first_visit_hour: NDArray[np.int8]
    probability: NDArray[np.float32]


def concatenate(parts: Sequence[Truth]) -> Truth:
    """Join the truth of blocks of users, in their order."""
    return Truth(
        user=np.concatenate([part.user for part in parts]),
        visit_date=np.concatenate([part.visit_date for part in parts]),
        first_visit_hour=np.concatenate([part.first_visit_hour for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
    )


def truth_of(
    sessions: Sessions,
    clock: Clock,
    zone: NDArray[np.int64],
    activity: Floats,
    intensity: Floats,
    run_on: Floats,
    first_user: int,
) -> Truth:
    """Compute the truth of every day with at least one session; arrays as in `draw_sessions`."""
    days = len(clock.dates)
    day_key, rows = np.unique(sessions.user * days + sessions.day, return_inverse=True)
    first_slot = np.full(len(day_key), np.iinfo(np.int64).max)
    np.minimum.at(first_slot, rows, sessions.slot)
    user, day = np.divmod(day_key, days)
    probability = first_hour_probability(
        activity[user, day],
        intensity[user, day] * clock.exposure[zone[user], day],
        carry_over(sessions, clock, zone, run_on)[user, day],
        clock.hour[zone[user], day, 0].astype(np.int64),
    )
    return Truth(
        user=user + first_user,
        visit_date=clock.dates[day],
        first_visit_hour=clock.hour[zone[user], day, first_slot],
        probability=probability.astype(np.float32),
    )


def first_hour_probability(activity: Floats, expected: Floats, carry: Floats, opens: NDArray[np.int64]) -> Floats:
    """Probability of the first-visit hour given that the day is active, [N, 24].

    Parameters
    ----------
    activity : float [N]
        Probability that the day is on.
    expected : float [N, 24]
        Expected session starts in each clock hour of a day that is on.
    carry : float [N]
        Probability that a session runs on from the day before.
    opens : int64 [N]
        Clock hour of the day's first slot: 0, or 1 where the clocks skip midnight.
    """
    before = np.cumsum(expected, axis=1) - expected
    joint = (1 - carry)[:, None] * activity[:, None] * np.exp(-before) * -np.expm1(-expected)
    joint[np.arange(len(joint)), opens] += carry
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def carry_over(sessions: Sessions, clock: Clock, zone: NDArray[np.int64], run_on: Floats) -> Floats:
    """Probability that a session of the day before runs on over midnight, given its views, [U, D]."""
    users, days = len(zone), len(clock.dates)
    at_midnight = sessions.late & (sessions.slot + 1 == clock.slots[zone[sessions.user], sessions.day])
    at_midnight &= sessions.day + 1 < days
    late = np.zeros((users, days))
    np.add.at(late, (sessions.user[at_midnight], sessions.day[at_midnight] + 1), 1.0)
    return np.asarray(1 - (1 - run_on[:, None]) ** late)


def protocol_rows(truth: Truth) -> NDArray[np.bool_]:
    """Rows of the evaluation protocol: active days with enough earlier active days of the same user, [N]."""
    starts = np.flatnonzero(np.r_[True, truth.user[1:] != truth.user[:-1]])
    lengths = np.diff(np.r_[starts, len(truth.user)])
    return np.asarray(np.arange(len(truth.user)) - np.repeat(starts, lengths) >= MINIMUM_HISTORY)


def best_possible_log_loss(truth: Truth, test_starts: date) -> float:
    """Mean of ``-log P(first-visit hour)`` in nats over the protocol's test rows.

    Raises
    ------
    ValueError
        There is no test row.
    """
    rows = protocol_rows(truth) & (truth.visit_date >= days_since_epoch(test_starts))
    if not rows.any():
        raise ValueError(f"The simulated events hold no test row on or after {test_starts}.")
    hour = truth.first_visit_hour[rows].astype(np.int64)
    return float(-np.log(truth.probability[rows, hour].astype(np.float64)).mean())
