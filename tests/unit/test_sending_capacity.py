import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from visitcast.sending.capacity import UNSENT, spread


def world(users, seed, clocks=3, hours=24):
    """Users in a few zones, most of whom like the evening."""
    rng = np.random.default_rng(seed)
    favourite = np.where(rng.random(users) < 0.7, 19, rng.integers(hours, size=users)) + rng.integers(-2, 3, size=users)
    away = np.abs((np.arange(hours) - favourite[:, None] + hours // 2) % hours - hours // 2)
    value = np.exp(-0.5 * (away / rng.uniform(0.7, 4, (users, 1))) ** 2) * rng.random((users, 1)) * 0.5 + 0.01
    bucket = np.arange(hours) + np.array([0, 3, 8, 14])[:clocks, None]
    return value, bucket, rng.integers(clocks, size=users)


def optimum(value, bucket, clock, possible, capacity):
    """Oracle: one slot per unit of capacity, and the Hungarian algorithm."""
    slots = np.repeat(np.arange(len(capacity)), capacity)
    worth = np.zeros((len(value), len(slots) + len(value)))  # the further slots stand for not being sent
    for hour in range(value.shape[1]):
        for slot, of in enumerate(slots):
            here = (bucket[clock, hour] == of) & possible[:, hour]
            worth[here, slot] = np.maximum(worth[here, slot], value[here, hour])
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return worth[rows, columns].sum()


def load(found, bucket, clock, buckets):
    sent = found.hour != UNSENT
    return np.bincount(bucket[clock[sent], found.hour[sent]], minlength=buckets)


@given(users=st.integers(1, 30), seed=st.integers(0, 10_000), most=st.integers(0, 4), barred=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_few_users_are_spread_exactly(users, seed, most, barred):
    value, bucket, clock = world(users, seed, hours=6)
    rng = np.random.default_rng(seed)
    possible = rng.random(value.shape) >= barred
    capacity = rng.integers(0, most + 1, size=bucket.max() + 1)
    found = spread(value, bucket, clock, possible, capacity)
    assert (load(found, bucket, clock, len(capacity)) <= capacity).all()
    sent = found.hour != UNSENT
    assert possible[sent, found.hour[sent]].all()
    assert found.value == pytest.approx(value[sent, found.hour[sent]].sum())
    assert found.value == pytest.approx(optimum(value, bucket, clock, possible, capacity), abs=1e-9)
    assert found.bound >= found.value - 1e-7


@pytest.mark.parametrize("share", [0.06, 0.08])
@pytest.mark.parametrize("seed", [1, 2])
def test_prices_of_a_sample_lose_little_and_keep_the_capacity(share, seed):
    value, bucket, clock = world(20_000, seed)
    possible = np.ones(value.shape, dtype=bool)
    possible[:, :7] = False
    capacity = np.full(bucket.max() + 1, int(share * len(value)))
    found = spread(value, bucket, clock, possible, capacity, sample_users=1000)
    assert (load(found, bucket, clock, len(capacity)) <= capacity).all()
    assert (found.hour != UNSENT).all()
    assert found.gap < 0.005
    # It is worth the effort: whoever comes first being served first loses more.
    assert found.value > first_come_first_served(value, bucket, clock, possible, capacity)


def first_come_first_served(value, bucket, clock, possible, capacity):
    left, total = capacity.copy(), 0.0
    for user in range(len(value)):
        for hour in np.argsort(-np.where(possible[user], value[user], -1)):
            if possible[user, hour] and left[bucket[clock[user], hour]]:
                left[bucket[clock[user], hour]] -= 1
                total += value[user, hour]
                break
    return total


def test_the_sampled_answer_is_near_the_exact_one():
    value, bucket, clock = world(900, 3)
    possible = np.ones(value.shape, dtype=bool)
    capacity = np.full(bucket.max() + 1, 72)
    exact = spread(value, bucket, clock, possible, capacity)
    sampled = spread(value, bucket, clock, possible, capacity, sample_users=300)
    assert exact.gap < 1e-9
    assert exact.value * 0.99 < sampled.value <= exact.value + 1e-9 <= sampled.bound + 2e-9


def test_too_small_a_capacity_leaves_out_the_least_promising():
    value = np.array([[0.5], [0.2], [0.4]])
    found = spread(value, np.zeros((1, 1), int), np.zeros(3, int), np.ones((3, 1), bool), np.array([2]))
    assert found.hour.tolist() == [0, UNSENT, 0]


def test_enough_room_gives_everyone_the_first_choice():
    value, bucket, clock = world(500, 4)
    found = spread(value, bucket, clock, np.ones(value.shape, bool), np.full(bucket.max() + 1, 500))
    np.testing.assert_array_equal(found.hour, value.argmax(axis=1))
    assert found.gap == 0
