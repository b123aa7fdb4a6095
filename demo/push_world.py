"""A simulated world in which pushes have a known effect.

Users visit by themselves when the events say so. What a push does beyond that is the world's law: it may bring a user
who comes on the date anyway at another time, or bring one who would not come, if it is sent in one of the user's free
hours. Those are the hours in which the user comes most often. It may also annoy: then the user opts out, gets no more
pushes and stays away on some of the later dates. So the chance of a visit on the date is known for every user, date and
hour, and with it the number of visits that pushes cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.schema import HOURS

DAY_MINUTES = 24 * 60
_USER_SPAN = 2**20
"""More than any date, so that user and date fit into one number."""
_FREE_FROM = 0.5
_LONGEST_DELAY_MINUTES = 40

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Law:
    """What a push does.

    Attributes
    ----------
    moved : float
        Probability that a user who comes on the date anyway comes soon after the push.
    caused : float
        Probability that a user who would not come on the date comes soon after the push, if it is sent in a free hour.
    opts_out : float
        Probability that a push makes the user opt out.
    stays_away : float
        Probability that a user who has opted out does not come on a date with a visit.
    """

    moved: float = 0.0
    caused: float = 0.0
    opts_out: float = 0.0
    stays_away: float = 0.0


WORLDS = {
    "nothing": Law(),
    "moved": Law(moved=0.5),
    "caused": Law(moved=0.5, caused=0.04),
    "annoyed": Law(moved=0.2, opts_out=0.02, stays_away=0.3),
}
"""Pushes that do nothing; that move visits within the day; that also cause some; that annoy."""


@dataclass(frozen=True)
class PushWorld:
    """Users and what they do.

    Attributes
    ----------
    user_ids : Index [U]
        Sorted.
    habit : float array [U, 24]
        Share of the visit days before the experiment on which the user came in each local hour; 0 without visit days.
    offset : int64 array [U]
        Minutes east of UTC at the last visit before the experiment, or at the first after its beginning.
    platform : object array [U]
        Of that visit.
    visit_days : int64 array [V]
        User and local date of every visit day without a push, as one number each, sorted.
    law : Law
    """

    user_ids: pd.Index
    habit: Floats
    offset: Ints
    platform: NDArray[Any]
    visit_days: Ints
    law: Law

    @property
    def free(self) -> NDArray[np.bool_]:
        """Return whether each hour is a free one, [U, 24]: one with at least half the visits of the best hour."""
        return np.asarray((self.habit > 0) & (self.habit >= _FREE_FROM * self.habit.max(axis=1, keepdims=True)))

    def comes(self, user: Ints, day: Ints | int) -> NDArray[np.bool_]:
        """Return whether users come on local dates without a push."""
        return np.isin(user * _USER_SPAN + day, self.visit_days)

    def chance(self, user: Ints, day: Ints | int, hour: Ints, pushes: int = 0) -> Floats:
        """Return the chance of a visit on the date if a push is sent in a local hour, arrays of one shape.

        Before that date users got so many pushes, or fewer if they opted out.
        """
        out = self.opted_out(pushes)
        anyway = 1 - out * self.law.stays_away
        return np.where(self.comes(user, day), anyway, (1 - out) * self.law.caused * self.free[user, hour])

    def opted_out(self, pushes: int) -> float:
        """Return the chance that a user opts out after one of so many pushes."""
        return 1 - (1 - self.law.opts_out) ** pushes

    def answers(self, rng: np.random.Generator, user: Ints, day: int, sent: Ints, hour: Ints) -> pa.Table:
        """Draw the visits that follow pushes; they are events of the events table.

        Parameters
        ----------
        user, sent, hour : int64 array [N]
            Users, UTC minutes and local hours of the pushes.
        day : int
            Their local date, days since 1970-01-01.
        """
        chance = np.where(self.comes(user, day), self.law.moved, self.law.caused * self.free[user, hour])
        answered = rng.random(len(user)) < chance
        return self.visits_after(rng, user[answered], sent[answered])

    def visits_after(self, rng: np.random.Generator, user: Ints, sent: Ints) -> pa.Table:
        """Draw one visit of each user soon after a UTC minute, as events of the events table."""
        seconds = 60 * sent + rng.integers(30, 60 * _LONGEST_DELAY_MINUTES, len(user))
        return pa.table(
            {
                schema.USER_ID: pa.array(self.user_ids[user], pa.string()),
                schema.EVENT_TIME: pa.array(1000 * seconds, pa.timestamp("ms", tz="UTC")),
                schema.UTC_OFFSET_MINUTES: pa.array(self.offset[user].astype(np.int16), pa.int16()),
                schema.PAGE_TYPE: pa.array(np.ones(len(user), dtype=np.int8), pa.int8()),
                schema.PLATFORM: pa.array(self.platform[user], pa.string()),
            }
        )


def local_minutes(events: pa.Table) -> Ints:
    """Local time of each event, minutes since 1970-01-01T00:00."""
    offsets: Any = events[schema.UTC_OFFSET_MINUTES].to_numpy()
    return np.asarray(_utc_minutes(events) + offsets)


def make_world(events: pa.Table, starts: int, law: Law) -> PushWorld:
    """Learn the habits from events before a local date, and keep all events as the visits without pushes.

    Parameters
    ----------
    events : pyarrow.Table
        Rows of the events table, in the order of time.
    starts : int
        First local date of the experiment, days since 1970-01-01.
    """
    local = local_minutes(events)
    before = local < starts * DAY_MINUTES
    names = events[schema.USER_ID].to_pandas()
    user, user_ids = pd.factorize(names, sort=True)
    user = user.astype(np.int64)
    # One row for each user, date and hour with a visit.
    day, hour = local // DAY_MINUTES, local % DAY_MINUTES // 60
    seen = np.unique(np.stack([user, day, hour])[:, before], axis=1)
    days = np.bincount(np.unique(seen[:2], axis=1)[0], minlength=len(user_ids))
    counts = np.bincount(seen[0] * HOURS + seen[2], minlength=len(user_ids) * HOURS).reshape(-1, HOURS)
    # The last event before the experiment; of those who come later, the first one.
    last = np.unique(user, return_index=True)[1]
    last[user[before]] = np.flatnonzero(before)  # of several the last one stays
    offsets: Any = events[schema.UTC_OFFSET_MINUTES].to_numpy()
    return PushWorld(
        user_ids=user_ids,
        habit=counts / np.maximum(days, 1)[:, None],
        offset=offsets[last].astype(np.int64),
        platform=events[schema.PLATFORM].to_pandas().to_numpy(dtype=object)[last],
        visit_days=np.unique(user * _USER_SPAN + day),
        law=law,
    )


def _utc_minutes(events: pa.Table) -> Ints:
    return np.asarray(events[schema.EVENT_TIME].to_numpy().astype("datetime64[m]").astype(np.int64))
