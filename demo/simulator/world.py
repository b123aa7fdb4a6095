"""The simulated world, generated in blocks of users so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from demo.simulator.clock import MAX_SLOTS, SLOT_SECONDS, Clock, make_clock
from demo.simulator.habits import PLATFORMS, ZONES, Users, draw_activity, draw_intensity, draw_users
from demo.simulator.sessions import Sessions, draw_sessions
from demo.simulator.truth import Truth, truth_of
from visitcast.data import schema

_CELLS_PER_BLOCK = 2_000_000
"""Users times slots of one block: some 16 MB for each array of floats."""


def yesterday() -> date:
    """Last UTC date that is over."""
    return datetime.now(UTC).date() - timedelta(days=1)


@dataclass(frozen=True)
class World:
    """Settings of a simulation; the same world has the same events, byte for byte.

    Attributes
    ----------
    users : int
        Users that exist at some time in the world; a few of them never visit.
    days : int
        UTC dates.
    end : date
        Last UTC date, yesterday by default, so that no event lies in the future.
    seed : int
        Of the random numbers.
    """

    users: int = 1500
    days: int = 150
    end: date = field(default_factory=yesterday)
    seed: int = 7

    def __post_init__(self) -> None:
        if self.users < 1 or self.days < 3:
            raise ValueError(f"A world needs a user and three days, not {self.users} users and {self.days} days.")


@dataclass(frozen=True)
class Block:
    """Events of some users, in order of user and time, with their truth."""

    events: pa.Table
    truth: Truth


def simulate(world: World) -> Iterator[Block]:
    """Yield the world's events with their truth, some hundred users at a time.

    Every block has random numbers of its own, so the result does not depend on which blocks are generated.
    """
    clock = make_clock(tuple(ZONES), world.end - timedelta(days=world.days - 1), world.days)
    size = max(1, _CELLS_PER_BLOCK // (world.days * MAX_SLOTS))
    for number, first_user in enumerate(range(0, world.users, size)):
        rng = np.random.default_rng([world.seed, number])
        users = draw_users(rng, min(size, world.users - first_user), world.days)
        activity = draw_activity(rng, users, clock)
        intensity = draw_intensity(rng, users, clock)
        sessions = draw_sessions(rng, clock, users.zone, activity, intensity, users.run_on)
        yield Block(
            events=_events(rng, users, clock, sessions, first_user),
            truth=truth_of(sessions, clock, users.zone, activity, intensity, users.run_on, first_user),
        )


def user_name(number: int) -> str:
    """Return the user_id of a user's number."""
    return f"user-{number:07d}"


def _events(rng: np.random.Generator, users: Users, clock: Clock, sessions: Sessions, first_user: int) -> pa.Table:
    user = sessions.user[sessions.view_session]
    day = sessions.day[sessions.view_session]
    slot = sessions.slot[sessions.view_session]
    zone = users.zone[user]
    second = clock.day_start[zone, day] + slot * SLOT_SECONDS + sessions.view_second
    order = np.lexsort((second, user))
    user, day, slot, zone, second = (column[order] for column in (user, day, slot, zone, second))
    bounds = np.cumsum(users.page_types, axis=1)[user, :3]
    page_type = 1 + (rng.random((len(user), 1)) > bounds).sum(axis=1)
    return pa.table(
        {
            schema.USER_ID: _named([user_name(first_user + n) for n in range(len(users.zone))], user),
            schema.EVENT_TIME: pa.array(second * 1000, pa.timestamp("ms", tz="UTC")),
            schema.UTC_OFFSET_MINUTES: pa.array(clock.offset_minutes[zone, day, slot], pa.int16()),
            schema.PAGE_TYPE: pa.array(page_type.astype(np.int8), pa.int8()),
            schema.PLATFORM: _named(list(PLATFORMS), users.platform[user]),
        }
    )


def _named(names: list[str], code: NDArray[np.int64]) -> pa.StringArray:
    return pa.array(names, pa.string()).take(pa.array(code, pa.int64()))
