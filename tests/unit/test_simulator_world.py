"""Invariants of the simulated events."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.simulator import Block, World, simulate
from demo.simulator.world import user_name, yesterday

EPOCH = date(1970, 1, 1)
END = date(2026, 11, 20)


def local_time(events: pd.DataFrame) -> pd.Series:
    return events.event_time.dt.tz_localize(None) + pd.to_timedelta(events.utc_offset_minutes, unit="min")


def check_block(block: Block, world: World) -> pd.DataFrame:
    """Check what holds in every block; return its events with local times."""
    assert block.events.schema.field("event_time").type.tz == "UTC"
    events = block.events.to_pandas()
    key = events[["user_id", "event_time"]]
    pd.testing.assert_frame_equal(key, key.sort_values(["user_id", "event_time"], kind="stable"))
    first = datetime.combine(world.end - timedelta(days=world.days - 1), datetime.min.time(), UTC)
    assert events.event_time.between(first, first + timedelta(days=world.days), inclusive="left").all()
    assert events.page_type.between(1, 4).all()
    assert events.utc_offset_minutes.between(-12 * 60, 14 * 60).all()
    assert set(events.platform) <= {"ios", "android", "web"}
    events["local"] = local_time(events)
    events["date"] = (events.local.dt.normalize() - pd.Timestamp(EPOCH)).dt.days

    # The truth describes exactly the active local days, and their first local hour.
    days = events.groupby(["user_id", "date"]).event_time.idxmin()
    seen = [(u, d, int(events.local[i].hour)) for (u, d), i in days.items()]
    truth = block.truth
    told = [
        (user_name(int(u)), int(d), int(h))
        for u, d, h in zip(truth.user, truth.visit_date, truth.first_visit_hour, strict=True)
    ]
    assert told == seen
    assert (truth.probability[np.arange(len(told)), truth.first_visit_hour] > 0).all()
    return events


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    users=st.integers(1, 40),
    days=st.integers(3, 60),
    end=st.dates(date(1995, 1, 1), END),
)
def test_events_and_truth_agree(seed: int, users: int, days: int, end: date) -> None:
    world = World(users=users, days=days, end=end, seed=seed)
    for block in simulate(world):
        check_block(block, world)


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    world = World(users=600, days=200, end=END, seed=5)
    return pd.concat([check_block(block, world) for block in simulate(world)], ignore_index=True)


def test_the_same_seed_gives_the_same_events() -> None:
    one, two, other = (next(simulate(World(users=30, days=20, end=END, seed=s))) for s in (1, 1, 2))
    assert one.events.equals(two.events)
    np.testing.assert_array_equal(one.truth.probability, two.truth.probability)
    assert not one.events.equals(other.events)


def test_blocks_do_not_depend_on_one_another() -> None:
    small, large = (next(simulate(World(users=n, days=2000, end=END))) for n in (40, 90))
    assert small.events.equals(large.events)


def test_sessions_run_over_local_midnight(events: pd.DataFrame) -> None:
    same_user = events.user_id.eq(events.user_id.shift())
    gap = events.event_time.diff().dt.total_seconds()
    over = same_user & (gap < 1800) & events.date.ne(events.date.shift())
    assert over.sum() > 50
    assert (events.local[over].dt.hour == 0).mean() > 0.95  # Cairo's summer time begins at 01:00


def test_offsets_change_with_daylight_saving(events: pd.DataFrame) -> None:
    offsets = events.groupby("user_id").utc_offset_minutes.unique().map(lambda o: tuple(sorted(o)))
    assert {(60, 120), (-300, -240), (330,), (345,), (570, 630)} <= set(offsets)


def test_users_come_and_go_and_leave_gaps(events: pd.DataFrame) -> None:
    active = events.groupby("user_id").date.agg(["min", "max", "nunique"])
    last = (END - EPOCH).days
    assert (active["min"] > last - 150).mean() > 0.2
    assert (active["max"] < last - 30).mean() > 0.1
    days = events.drop_duplicates(["user_id", "date"])
    gaps = days.groupby("user_id").date.diff().dropna()
    assert (gaps == 1).mean() > 0.3
    assert (gaps > 7).mean() > 0.02


def test_weekends_differ_from_workdays(events: pd.DataFrame) -> None:
    first = events.drop_duplicates(["user_id", "date"])
    weekend = first.local.dt.day_of_week >= 5
    morning = first.local.dt.hour.between(5, 8)
    assert morning[~weekend].mean() > morning[weekend].mean() + 0.03


def test_nothing_lies_in_the_future() -> None:
    assert World().end == yesterday() < datetime.now(UTC).date()


@pytest.mark.parametrize(("users", "days"), [(0, 10), (10, 2)])
def test_an_empty_world_is_refused(users: int, days: int) -> None:
    with pytest.raises(ValueError, match="world"):
        World(users=users, days=days)
