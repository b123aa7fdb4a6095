"""A simulated world in which pushes have a known effect.

Users visit by themselves when the events say so. In addition, a push at local hour h is answered by a visit with the
probability ``floor + height * habit[u, h]``, where ``habit`` is the share of the user's visit days on which the user
came in that hour. So the chance that a send is answered is known for every user, date and hour, and with it the lift
that an endless experiment would find.
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
_USER_SPAN = 2**33
"""More minutes than any date has, so that user and minute fit into one sorted number."""
_LONGEST_DELAY_MINUTES = 40

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Law:
    """Probability that a push is answered: ``floor + height * habit``."""

    floor: float = 0.04
    height: float = 0.6


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
    own_visits : int64 array [V]
        User and minute of every visit without a push, sorted.
    law : Law
    response_minutes : int
        A visit within this time after a send counts as a response.
    """

    user_ids: pd.Index
    habit: Floats
    offset: Ints
    platform: NDArray[Any]
    own_visits: Ints
    law: Law
    response_minutes: int

    def chance(self, user: Ints, sent: Ints, hour: Ints) -> Floats:
        """Chance that pushes are answered: users, UTC minutes and local hours of the sends, arrays of one shape."""
        key = user * _USER_SPAN + sent
        first = np.searchsorted(self.own_visits, key)
        following = self.own_visits[np.minimum(first, len(self.own_visits) - 1)]
        comes_anyway = (first < len(self.own_visits)) & (following < key + self.response_minutes)
        return np.where(comes_anyway, 1.0, self.law.floor + self.law.height * self.habit[user, hour])

    def answers(self, rng: np.random.Generator, user: Ints, sent: Ints, hour: Ints) -> pa.Table:
        """Draw who answers these pushes, given as for `chance`; the visits are events of the events table."""
        answered = rng.random(len(user)) < self.law.floor + self.law.height * self.habit[user, hour]
        user, sent = user[answered], sent[answered]
        seconds = 60 * sent + rng.integers(30, 60 * min(_LONGEST_DELAY_MINUTES, self.response_minutes), len(user))
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


def make_world(events: pa.Table, starts: int, law: Law, response_minutes: int) -> PushWorld:
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
        own_visits=np.sort(user * _USER_SPAN + _utc_minutes(events)),
        law=law,
        response_minutes=response_minutes,
    )


def _utc_minutes(events: pa.Table) -> Ints:
    return np.asarray(events[schema.EVENT_TIME].to_numpy().astype("datetime64[m]").astype(np.int64))
