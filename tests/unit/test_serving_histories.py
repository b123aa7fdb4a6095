"""Users of a request as arrays: the same whatever the order of visits and whoever else asks."""

from __future__ import annotations

import random
import re
from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import assert_same_dataset, from_frame, made_frame

from visitcast.data import schema
from visitcast.data.dataset import Dataset, concatenate, with_target_days
from visitcast.serving.errors import RequestError
from visitcast.serving.histories import as_of, to_dataset
from visitcast.serving.json_requests import locate_in_json

ASKED_DAY = date(2026, 11, 20)
FRAME = made_frame(users=5, mean_days=8.0, seed=4)


def dataset_of(users: list[Any]) -> Dataset:
    """Read the users of a request."""
    return to_dataset(users, locate_in_json(users))


def by_column(user: dict[str, Any]) -> dict[str, Any]:
    """The same user, with the visits as arrays."""
    columns = {column.name: [visit[column.name] for visit in user["visits"]] for column in schema.DAY_COLUMNS}
    return {**user, "visits": columns}


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
    assert_same_dataset(dataset_of(ALL), with_target_days(history, targets))


@given(st.permutations([*ALL, NOBODY]), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_neither_other_users_nor_the_order_of_visits_matter(users: list[Any], order: random.Random) -> None:
    shuffled = [{**user, "visits": order.sample(user["visits"], len(user["visits"]))} for user in users]
    assert_same_dataset(dataset_of(shuffled), concatenate([dataset_of([user]) for user in users]))


@given(st.permutations([*ALL, NOBODY]), st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=25, deadline=None)
def test_visits_by_column_give_the_same_dataset(users: list[Any], columns: list[bool]) -> None:
    mixed = [by_column(user) if chosen else user for user, chosen in zip(users, columns, strict=True)]
    assert_same_dataset(dataset_of(mixed), dataset_of(users))


def test_arrays_of_visits_are_equally_long() -> None:
    wrong = by_column(ALL[1])
    wrong["visits"][schema.PLATFORM] = wrong["visits"][schema.PLATFORM][1:]
    with pytest.raises(RequestError, match="and visit_date has") as refused:
        dataset_of([ALL[0], wrong])
    assert refused.value.field == "users[1].visits.platform"


def test_all_days_before_are_over_everywhere_if_nothing_else_is_said() -> None:
    instant = datetime(2026, 11, 19, 17, 30, 59, tzinfo=timezone(timedelta(hours=1)))
    users: list[Any] = [{**NOBODY, "as_of": instant}, NOBODY]
    midnight = int(np.datetime64(ASKED_DAY).astype(np.int64)) * 24 * 60
    assert as_of(users, dataset_of(users)).tolist() == [midnight - 7 * 60 - 30, midnight + 12 * 60]


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
        dataset_of([ALL[0], wrong, NOBODY])
    assert refused.value.field == where
    with pytest.raises(RequestError) as refused:
        dataset_of([ALL[0], by_column(wrong), NOBODY])
    assert refused.value.field == re.sub(r"visits(.*)\.(.*)", r"visits.\2\1", where)
