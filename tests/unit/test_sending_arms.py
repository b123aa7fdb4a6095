from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.measure_lift import lift
from functions.shared.messages import PUSH
from visitcast.data.schema import SOURCES
from visitcast.errors import InputError
from visitcast.sending.arms import ARMS, NO_PUSH, ControlGroup, arm_codes, hashed, random_hours

USERS = np.array([f"user-{n:07d}" for n in range(100_000)])


def test_the_hash_is_the_documented_one_for_ever():
    # Written down so that no release moves users between arms in the middle of an experiment.
    digest = blake2b(b"visitcast-1\0user-0000001", digest_size=8).digest()
    assert hashed(np.array(["user-0000001"]), "visitcast-1")[0] == (int.from_bytes(digest, "big") >> 11) / 2**53
    assert hashed(np.array(["user-0000001"]), "visitcast-1")[0] == pytest.approx(0.00268489006217143, abs=1e-15)


@pytest.mark.parametrize(
    "shares",
    [(0.05, 0.05, 0.1), (0.1, 0.0, 0.0), (0.0, 0.2, 0.5), (0.5, 0.3, 0.2), (0.6, 0.1, 0.3), (0.0, 0.0, 0.0), (0, 0, 1)],
)
def test_shares_are_kept(shares):
    codes = arm_codes(USERS, ControlGroup("an experiment", *shares))
    found = np.bincount(codes, minlength=4) / len(USERS)
    expected = np.array([1 - sum(shares), *shares])
    # Five standard deviations of a binomial share.
    np.testing.assert_array_less(np.abs(found - expected), 5 * np.sqrt(expected * (1 - expected) / len(USERS)) + 1e-12)


@given(st.tuples(*[st.tuples(st.floats(0, 0.5), st.floats(0, 0.25), st.floats(0, 0.25))] * 2))
@settings(max_examples=30, deadline=None)
def test_a_growing_share_moves_nobody_between_control_arms(shares):
    small, large = (ControlGroup("s", *map(pick, zip(*shares, strict=True))) for pick in (min, max))
    users = USERS[:2000]
    before, after = arm_codes(users, small), arm_codes(users, large)
    kept = before != ARMS.index("best_hour")
    np.testing.assert_array_equal(before[kept], after[kept])


def test_another_salt_draws_independently():
    first, second = (arm_codes(USERS, ControlGroup(salt, 0.3, 0.3)) for salt in ("one", "two"))
    both = ((first == 1) & (second == 1)).mean()
    assert abs(both - 0.09) < 5 * np.sqrt(0.09 * 0.91 / len(USERS))


def test_random_hours_are_possible_even_and_repeatable():
    possible = np.zeros((len(USERS), 24), dtype=bool)
    possible[:, [7, 8, 15, 21]] = True
    hours = random_hours(USERS, ControlGroup(), "2026-11-24", possible)
    counts = np.bincount(hours, minlength=24)
    assert set(np.flatnonzero(counts)) == {7, 8, 15, 21}
    assert np.abs(counts[[7, 8, 15, 21]] / len(USERS) - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / len(USERS))
    np.testing.assert_array_equal(hours, random_hours(USERS, ControlGroup(), "2026-11-24", possible))
    assert (hours != random_hours(USERS, ControlGroup(), "2026-11-25", possible)).mean() > 0.7


@pytest.mark.parametrize("shares", [(-0.1, 0.1, 0.1), (0.1, 0.1, -0.1), (0.6, 0.5, 0.0), (0.4, 0.4, 0.3)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(InputError, match="control group"):
        ControlGroup("s", *shares)


def test_the_functions_use_the_same_names():
    properties = PUSH.schema["properties"]
    assert {*properties["arm"]["enum"], NO_PUSH} == set(ARMS)
    assert tuple(properties["source"]["enum"]) == SOURCES
    assert tuple(lift.arm_shares(dict.fromkeys(lift.CONTROL_SHARES.values(), 0.1))) == ARMS
