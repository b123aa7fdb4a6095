"""Users of a request as arrays: the same whatever the order of visits and whoever else asks."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import assert_same_dataset, from_frame, made_frame

from visitcast.data import schema
from visitcast.data.dataset import concatenate, with_target_days
from visitcast.serving.errors import RequestError
from visitcast.serving.histories import to_dataset

ASKED_DAY = date(2026, 11, 20)
FRAME = made_frame(users=5, mean_days=8.0, seed=4)


def asked(user: int) -> dict[str, Any]:
    """Make a user of a request."""
    user_id = f"user-{user:04d}"
    rows = FRAME[FRAME[schema.USER_ID] == user_id].drop(columns=schema.USER_ID).to_dict("records")
    visits = [{**row, schema.VISIT_DATE: date.fromisoformat(row[schema.VISIT_DATE])} for row in rows]
    return {"user_id": user_id, "date": ASKED_DAY, "visits": visits}


NOBODY: dict[str, Any] = {"user_id": "nobody", "date": ASKED_DAY, "visits": []}
ALL = [asked(user) for user in range(5)]


def test_a_request_gives_the_dataset_of_the_same_visits() -> None:
    history = from_frame(FRAME)
    targets = np.full(history.users, np.datetime64(ASKED_DAY).astype(np.int64))
    assert_same_dataset(to_dataset(ALL), with_target_days(history, targets))


@given(st.permutations([*ALL, NOBODY]), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_neither_other_users_nor_the_order_of_visits_matter(users: list[Any], order: random.Random) -> None:
    shuffled = [{**user, "visits": order.sample(user["visits"], len(user["visits"]))} for user in users]
    assert_same_dataset(to_dataset(shuffled), concatenate([to_dataset([user]) for user in users]))


@pytest.mark.parametrize(
    ("visits", "days_later", "where"),
    [
        ([3, 0, 1, 2, 3], 1, "users[1].visits[4].visit_date"),
        ([0, -1], 0, "users[1].date"),
        ([-1, 0], 0, "users[1].date"),
    ],
    ids=["a day twice", "a visit on the day to forecast", "a visit on the day to forecast, out of order"],
)
def test_the_place_of_an_error_is_that_in_the_request(visits: list[int], days_later: int, where: str) -> None:
    user = max(ALL, key=lambda user: len(user["visits"]))
    day = user["visits"][-1][schema.VISIT_DATE] + timedelta(days=days_later)
    wrong = {**user, "date": day, "visits": [user["visits"][row] for row in visits]}
    with pytest.raises(RequestError) as refused:
        to_dataset([ALL[0], wrong, NOBODY])
    assert refused.value.field == where
