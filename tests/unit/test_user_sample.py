"""The sample of training users: whole users, bounded, and nearly the same when users are added."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_visits import made_dataset
from numpy.typing import NDArray

from visitcast.data.dataset import select_users, user_of_row
from visitcast.data.protocol import split
from visitcast.data.user_sample import sample_users
from visitcast.training.fitting import rows_of_sample

letters = st.characters(codec="utf-8", exclude_characters="\0")
identifiers = st.sets(st.text(letters, min_size=1, max_size=8), min_size=1, max_size=40)


def chosen(user_ids: NDArray[np.str_], size: int, seed: int) -> set[str]:
    return set(user_ids[sample_users(user_ids, size, seed)].tolist())


@given(identifiers, st.integers(1, 50), st.integers(0, 2**31 - 1), st.randoms())
def test_the_sample_depends_on_the_set_of_users_and_the_seed_alone(
    users: set[str], size: int, seed: int, random: object
) -> None:
    ordered = np.array(sorted(users))
    shuffled = np.array(random.sample(sorted(users), len(users)))  # type: ignore[attr-defined]
    sample = chosen(ordered, size, seed)
    assert chosen(shuffled, size, seed) == sample
    assert len(sample) == min(size, len(users))
    assert chosen(ordered, max(size - 1, 0), seed) <= sample


@given(identifiers, identifiers, st.integers(1, 30), st.integers(0, 100))
def test_a_user_leaves_the_sample_only_for_a_new_one(users: set[str], added: set[str], size: int, seed: int) -> None:
    before = chosen(np.array(sorted(users)), size, seed)
    after = chosen(np.array(sorted(users | added)), size, seed)
    assert after & users <= before
    assert len(before - after) <= len(added - users)


def test_the_sample_stays_the_same_from_release_to_release() -> None:
    users = np.array([f"user-{number:02d}" for number in range(50)])
    assert chosen(users, 5, seed=7) == {"user-08", "user-12", "user-18", "user-25", "user-34"}
    assert chosen(users, 5, seed=8) != chosen(users, 5, seed=7)


@pytest.mark.parametrize("most", [1, 7, 10**6])
def test_only_the_training_rows_of_whole_users_are_left_out(most: int) -> None:
    dataset = made_dataset(users=60, mean_days=15, seed=2)
    train = split(dataset).train
    user = user_of_row(dataset)
    kept = rows_of_sample(dataset, train, most, seed=7)
    users = np.unique(user[kept])
    assert len(users) == min(most, len(np.unique(user[train])))
    np.testing.assert_array_equal(kept, train[np.isin(user[train], users)])

    # Users without training rows take nobody's place, and the order of the users does not matter.
    fewer = select_users(dataset, np.unique(user[train]))
    again = rows_of_sample(fewer, split_like(train, user, fewer.offsets, dataset.offsets), most, seed=7)
    assert set(fewer.user_ids[user_of_row(fewer)[again]]) == set(dataset.user_ids[users])


def split_like(
    rows: NDArray[np.int64], user: NDArray[np.int64], to: NDArray[np.int64], origin: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Rows of the users that have some, where these alone are kept."""
    number = np.unique(user[rows], return_inverse=True)[1]
    moved: NDArray[np.int64] = rows - origin[user[rows]] + to[number]
    return moved
