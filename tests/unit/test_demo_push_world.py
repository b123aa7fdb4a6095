"""The world in which pushes have a known effect: its law, and that the measured lift covers what the law says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

from demo.lift_experiment import ALLOWED, true_rates
from demo.push_world import DAY_MINUTES, Law, PushWorld, make_world
from functions.measure_lift.lift import ArmSums, compare
from visitcast.data import schema

FIRST = 20_000  # of the experiment, days since 1970-01-01
HABIT_DAYS = 10
USERS = 1500
OFFSETS = np.array([-570, -300, 0, 345, 840])


def made_events(users: int, seed: int, *, dates: int = 0) -> pa.Table:
    """Users with an hour of their own, seen on ten days before the experiment and perhaps on some of its dates."""
    rng = np.random.default_rng(seed)
    user, day = (part.ravel() for part in np.meshgrid(np.arange(users), np.arange(-HABIT_DAYS, dates)))
    offset = OFFSETS[np.arange(users) % len(OFFSETS)][user]
    hour = (rng.integers(7, 22, users)[user] + rng.integers(-1, 2, len(user))) % 24
    second = 60 * ((FIRST + day) * DAY_MINUTES + 60 * hour - offset) + rng.integers(0, 3600, len(user))
    table = pa.table(
        {
            schema.USER_ID: pa.array([f"user-{n:05d}" for n in user]),
            schema.EVENT_TIME: pa.array(1000 * second, pa.timestamp("ms", tz="UTC")),
            schema.UTC_OFFSET_MINUTES: pa.array(offset.astype(np.int16)),
            schema.PAGE_TYPE: pa.array(np.ones(len(user), dtype=np.int8)),
            schema.PLATFORM: pa.array(np.where(user % 2, "ios", "web")),
        }
    )
    kept = rng.random(len(user)) < np.where(day < 0, 1.0, 0.3)
    return table.filter(pa.array(kept)).sort_by(schema.EVENT_TIME)


def test_chances_are_those_of_the_law_unless_the_user_comes_anyway() -> None:
    events = made_events(40, 1, dates=2)
    world = make_world(events, FIRST, Law(0.1, 0.5), 120)
    rows = events.to_pylist()
    for n, hour in np.random.default_rng(2).integers([0, 0], [40, 24], (200, 2)):
        sent = (FIRST + n % 2) * DAY_MINUTES + 60 * hour - OFFSETS[n % len(OFFSETS)]
        own = [row for row in rows if row["user_id"] == f"user-{n:05d}"]
        minutes = [row["event_time"].timestamp() / 60 for row in own]
        local = [minute + OFFSETS[n % len(OFFSETS)] for minute in minutes]
        habit = np.mean([m // 60 % 24 == hour for m in local if m < FIRST * DAY_MINUTES])
        anyway = any(sent <= m < sent + 120 for m in minutes)
        found = world.chance(np.array([n]), np.array([sent]), np.array([hour]))[0]
        assert found == pytest.approx(1.0 if anyway else 0.1 + 0.5 * habit)


def test_answers_are_events_soon_after_the_push() -> None:
    world = make_world(made_events(400, 3), FIRST, Law(0.5, 0.0), 120)
    user = np.arange(400)
    sent = FIRST * DAY_MINUTES + 60 * 12 - world.offset
    answers = world.answers(np.random.default_rng(4), user, sent, np.full(400, 12))
    assert 150 < answers.num_rows < 250
    by_user = dict(zip(world.user_ids, sent, strict=True))
    for row in answers.to_pylist():
        assert 0 < row["event_time"].timestamp() / 60 - by_user[row["user_id"]] < 120
        local = row["event_time"].timestamp() / 60 + row["utc_offset_minutes"]
        assert local // 60 % 24 == 12


def test_users_of_whom_nothing_was_known_have_no_habit() -> None:
    events = made_events(20, 5, dates=3)
    late = make_world(events, FIRST - HABIT_DAYS, Law(0.2, 0.5), 120)
    assert late.habit.max() == 0
    assert set(late.platform) == {"ios", "web"}


def sums(answered: np.ndarray[Any, Any]) -> ArmSums:
    """Sums of users with as many sends as the array has columns."""
    users, sends = answered.shape
    r = answered.sum(axis=1)
    return ArmSums(users, users * sends, int(r.sum()), users * sends**2, int((r * r).sum()), int(sends * r.sum()))


def experiment(world: PushWorld, rng: np.random.Generator, hours: dict[str, Any]) -> dict[str, ArmSums]:
    """Send on two dates in random arms, and count as responses.sql does: visits of any kind within two hours."""
    arm = rng.choice(list(hours), len(world.user_ids), p=[0.5, 0.25, 0.25])
    found = {}
    for name, of_user in hours.items():
        user = np.flatnonzero(arm == name)
        drawn = of_user(rng, user)
        sent = (FIRST + np.arange(2)) * DAY_MINUTES + 60 * drawn - world.offset[user][:, None]
        found[name] = sums(rng.random(sent.shape) < world.chance(np.repeat(user[:, None], 2, axis=1), sent, drawn))
    return found


@pytest.mark.parametrize(
    ("law", "comes_anyway"),
    [
        pytest.param(Law(0.05, 0.6), True, id="a push at a good hour helps"),
        pytest.param(Law(0.2, 0.0), False, id="no hour is better: zero lift"),
        pytest.param(Law(0.3, -0.25), False, id="a push at a good hour annoys: negative lift"),
    ],
)
def test_the_measured_lift_covers_what_the_law_says(law: Law, comes_anyway: bool) -> None:
    world = make_world(made_events(USERS, 6, dates=2 if comes_anyway else 0), FIRST, law, 120)
    allowed = np.flatnonzero(ALLOWED)
    best = np.where(ALLOWED, world.habit, -1).argmax(axis=1)
    hours = {
        "best_hour": lambda _, user: np.repeat(best[user][:, None], 2, axis=1),
        "global_best_hour": lambda _, user: np.full((len(user), 2), 14),
        "random_hour": lambda rng, user: rng.choice(allowed, (len(user), 2)),
    }
    forecasts = pa.table(
        {
            schema.USER_ID: pa.array(world.user_ids),
            schema.UTC_OFFSET_MINUTES: pa.array(world.offset.astype(np.int16)),
            "visit_hour": pa.array(list(world.habit)),
        }
    )
    sends = pa.table({"arm": ["global_best_hour"], "send_hour": pa.array([14], pa.int8())})
    dates = [true_rates(world, FIRST + n, forecasts, sends) for n in range(2)]
    truth = {arm: np.mean([rates[arm] for rates in dates]) for arm in hours}
    if law.height == 0:
        assert truth["best_hour"] == pytest.approx(truth["random_hour"])

    rng, covered, tries = np.random.default_rng(7), 0, 150
    for _ in range(tries):
        arms = experiment(world, rng, hours)
        for control in ("global_best_hour", "random_hour"):
            found = compare(control, arms["best_hour"], arms[control], wanted_relative_lift=1.0)
            assert found.relative_low is not None
            assert found.relative_high is not None
            covered += bool(found.relative_low <= truth["best_hour"] / truth[control] - 1 <= found.relative_high)
    # At a true coverage of 95% the two comparisons of an experiment, which share an arm, spread at most like one in
    # double. Above is no fault: users are drawn without replacement from the world.
    assert covered / 2 >= binom.ppf(0.0001, tries, 0.95)
