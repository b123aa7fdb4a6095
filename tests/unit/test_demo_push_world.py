"""The world in which pushes have a known effect: its law, and that the measured lift covers what the law says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

from benchmarks import lift, lift_worlds
from demo.lift_experiment import ALLOWED, DEFAULTS, true_rates
from demo.push_world import DAY_MINUTES, WORLDS, Law, make_world
from functions.measure_lift.lift import ARMS_BROKEN, BEST_HOUR, HIGHER, NO_PUSH
from visitcast.data import schema

FIRST = 20_000  # of the experiment, days since 1970-01-01
HABIT_DAYS = 10
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
    world = make_world(events, FIRST, Law(caused=0.25))
    rows = events.to_pylist()
    for n, hour in np.random.default_rng(2).integers([0, 0], [40, 24], (200, 2)):
        own = [row for row in rows if row["user_id"] == f"user-{n:05d}"]
        local = [row["event_time"].timestamp() / 60 + row["utc_offset_minutes"] for row in own]
        before = [minute // 60 % 24 for minute in local if minute < FIRST * DAY_MINUTES]
        free = before.count(hour) >= 0.5 * max(before.count(h) for h in range(24))
        for day in (FIRST, FIRST + 1):
            anyway = any(minute // DAY_MINUTES == day for minute in local)
            found = world.chance(np.array([n]), day, np.array([hour]))[0]
            assert found == (1.0 if anyway else 0.25 * free)


@pytest.mark.parametrize(
    ("law", "comes", "least", "most"),
    [
        pytest.param(Law(moved=0.5), True, 0.35, 0.65, id="moves visits"),
        pytest.param(Law(moved=0.5), False, 0, 0, id="causes none"),
        pytest.param(Law(caused=0.5), False, 0.35, 0.65, id="causes visits"),
        pytest.param(Law(caused=0.5), True, 0, 0, id="moves none"),
    ],
)
def test_answers_are_events_soon_after_the_push(law: Law, comes: bool, least: float, most: float) -> None:
    world = make_world(made_events(400, 3, dates=1), FIRST, law)
    user = np.flatnonzero(world.comes(np.arange(400), FIRST) == comes)
    best = world.habit[user].argmax(axis=1)
    sent = FIRST * DAY_MINUTES + 60 * best - world.offset[user]
    answers = world.answers(np.random.default_rng(4), user, FIRST, sent, best)
    assert least * len(user) <= answers.num_rows <= most * len(user)
    by_user = dict(zip(world.user_ids[user], zip(sent, best, strict=True), strict=True))
    for row in answers.to_pylist():
        at, hour = by_user[row["user_id"]]
        assert 0 < row["event_time"].timestamp() / 60 - at < 60
        assert (row["event_time"].timestamp() / 60 + row["utc_offset_minutes"]) // 60 % 24 == hour


def test_who_opted_out_stays_away_and_is_not_pushed() -> None:
    world = make_world(made_events(400, 3, dates=2), FIRST, Law(caused=0.5, opts_out=0.25, stays_away=0.5))
    user, hour = np.arange(400), world.habit.argmax(axis=1)
    comes = world.comes(user, FIRST)
    free = world.free[user, hour]
    assert free.any()
    out = 1 - 0.75**2
    expected = np.where(comes, 1 - 0.5 * out, (1 - out) * 0.5 * free)
    np.testing.assert_allclose(world.chance(user, FIRST, hour, pushes=2), expected)


def test_users_of_whom_nothing_was_known_have_no_habit() -> None:
    events = made_events(20, 5, dates=3)
    late = make_world(events, FIRST - HABIT_DAYS, Law(caused=0.5))
    assert late.habit.max() == 0
    assert not late.free.any()
    assert set(late.platform) == {"ios", "web"}


def test_the_truth_is_what_an_endless_experiment_finds() -> None:
    world = make_world(made_events(300, 6, dates=1), FIRST, Law(moved=0.5, caused=0.4))
    best = np.where(ALLOWED, world.habit, -1).argmax(axis=1)
    forecasts = pa.table({schema.USER_ID: pa.array(world.user_ids), "visit_hour": pa.array(list(world.habit))})
    plans = pa.table({"arm": ["global_best_hour"], "send_hour": pa.array([14], pa.int8())})
    truth = true_rates(world, FIRST, forecasts, plans)
    user = np.arange(300)
    comes = world.comes(user, FIRST)
    assert truth[NO_PUSH] == comes.mean()
    allowed = np.flatnonzero(ALLOWED)
    rng = np.random.default_rng(7)
    hours: dict[str, Any] = {
        "best_hour": lambda: best,
        "global_best_hour": lambda: np.full(300, 14),
        "random_hour": lambda: rng.choice(allowed, 300),
    }
    for arm, of_all in hours.items():
        came = []
        for _ in range(300):
            hour = of_all()
            sent = FIRST * DAY_MINUTES + 60 * hour - world.offset
            answered = world.answers(rng, user, FIRST, sent, hour)[schema.USER_ID].to_pandas()
            came.append((comes | np.isin(world.user_ids, answered)).mean())
        assert np.mean(came) == pytest.approx(truth[arm], abs=0.01), arm


# --- many experiments, small ------------------------------------------------------------------------------------------

EXPERIMENTS, USERS, DATES = 40, 4000, 14
RARE = 0.0005
"""Chance of a failure where all is right."""


@pytest.fixture(scope="module")
def found() -> list[tuple[dict[str, lift.Found], bool]]:
    return [lift.experiment(seed, USERS, DATES) for seed in range(EXPERIMENTS)]


@pytest.mark.parametrize("world", WORLDS)
def test_intervals_hold_in_every_world(found: list[tuple[dict[str, lift.Found], bool]], world: str) -> None:
    of_world = [worlds[world] for worlds, _ in found]
    truth, _ = lift_worlds.truth([one.expected[BEST_HOUR] for one in of_world])
    figures = np.stack([one.figures[BEST_HOUR] for one in of_world])
    _, low, high, one_low, one_high, _, _ = np.moveaxis(figures, 2, 0)
    fixed = ((one_low <= truth) & (truth <= one_high))[:, -1].sum()
    assert binom.ppf(RARE, EXPERIMENTS, 0.95) <= fixed
    assert ((low <= truth) & (truth <= high)).all(axis=1).sum() >= binom.ppf(RARE, EXPERIMENTS, 0.95)
    assert not any(ARMS_BROKEN in one.verdicts[BEST_HOUR] for one in of_world)
    if truth[-1] <= 0:
        assert sum(HIGHER in one.verdicts[BEST_HOUR] for one in of_world) <= binom.isf(RARE, EXPERIMENTS, 0.05)


def test_hits_rise_where_nothing_is_caused(found: list[tuple[dict[str, lift.Found], bool]]) -> None:
    nothing, moved = (
        {arm: np.mean([worlds[world].hits[arm] for worlds, _ in found]) for arm in lift_worlds.SHARES}
        for world in ("nothing", "moved")
    )
    assert nothing["best_hour"] > 1.5 * nothing["random_hour"]
    assert moved["best_hour"] > 1.3 * moved[NO_PUSH]


def test_the_prediction_narrows_the_interval(found: list[tuple[dict[str, lift.Found], bool]]) -> None:
    errors = np.stack([worlds["nothing"].errors[-1] for worlds, _ in found])
    assert 0.25 < 1 - (errors[:, 0] / errors[:, 1]).mean() < 0.45


def test_a_broken_hand_over_rings(found: list[tuple[dict[str, lift.Found], bool]]) -> None:
    assert np.mean([broken for _, broken in found]) > 0.9


def test_every_date_of_the_experiment_is_planned_before_its_allowed_hours_anywhere() -> None:
    """Otherwise users in the east would have fewer possible hours, and the global best hour would not be one."""
    as_of = np.datetime64(DEFAULTS.input(FIRST)["AsOf"].removesuffix("Z"), "m").astype(int)
    first_allowed = FIRST * DAY_MINUTES + 60 * int(np.flatnonzero(ALLOWED)[0]) - schema.EASTERNMOST_MINUTES
    assert as_of <= first_allowed
