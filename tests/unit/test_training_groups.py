from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from made_visits import datasets, made_dataset

from visitcast.data.calendar import weekday
from visitcast.data.dataset import Dataset, position_in_history, user_of_row
from visitcast.data.protocol import Split, eligible_rows, split
from visitcast.data.schema import HOURS
from visitcast.evaluation.groups import FEWEST_USERS, WEEKDAYS, group_rows, score_groups
from visitcast.metrics import Outcomes, probability_outcomes, summarise

DATASET = made_dataset(users=60, mean_days=40, seed=2)
PARTS = split(DATASET)


def outcomes(dataset: Dataset, rows: np.ndarray, seed: int) -> Outcomes:
    chances = np.random.default_rng(seed).dirichlet(np.ones(HOURS), size=len(rows))
    return probability_outcomes(chances, dataset.first_visit_hour[rows], dataset.hourly_visits[rows])


@given(datasets())
@settings(max_examples=30, deadline=None)
def test_every_row_is_in_one_group_of_each_grouping(dataset: Dataset) -> None:
    rows = eligible_rows(dataset)
    half = len(rows) // 2
    parts = Split(rows[:half], rows[:0], rows[half:], 0, 0)
    for grouping, masks in group_rows(dataset, parts).items():
        counts = np.sum(list(masks.values()), axis=0)
        assert counts.tolist() == [1] * len(parts.test), grouping


def test_groups_hold_what_their_names_say() -> None:
    groups = group_rows(DATASET, PARTS)
    history = position_in_history(DATASET)[PARTS.test]
    assert history[groups["history_length"]["3–9 days"]].max() <= 9
    assert history[groups["history_length"]["100 days or more"]].min(initial=100) >= 100
    trained = set(user_of_row(DATASET)[PARTS.train].tolist())
    for row, known in zip(PARTS.test, groups["users"]["known"], strict=True):
        assert known == (user_of_row(DATASET)[row] in trained)


@pytest.mark.parametrize(
    ("day", "name"), [("1970-01-01", "Thursday"), ("2026-11-23", "Monday"), ("2026-11-29", "Sunday")]
)
def test_weekdays(day: str, name: str) -> None:
    assert WEEKDAYS[int(weekday(np.datetime64(day).astype(np.int32)))] == name


def test_each_group_is_scored_on_its_own_rows() -> None:
    model, tuned = outcomes(DATASET, PARTS.test, 1), outcomes(DATASET, PARTS.test, 2)
    users = user_of_row(DATASET)[PARTS.test]
    masks = group_rows(DATASET, PARTS)
    found = score_groups(masks, model, tuned, users)
    assert sum(group.rows for group in found["weekday"]) == len(PARTS.test)
    hour, visited = DATASET.first_visit_hour[PARTS.test], DATASET.hourly_visits[PARTS.test]
    chances = np.random.default_rng(1).dirichlet(np.ones(HOURS), size=len(PARTS.test))
    assert model.log_loss is not None
    assert tuned.log_loss is not None
    for group in found["platform"]:
        mask = masks["platform"][group.name]
        assert group.rows == mask.sum() > 0
        assert group.users == len(set(users[mask].tolist()))
        assert group.model == summarise(probability_outcomes(chances[mask], hour[mask], visited[mask]))
        difference = group.log_loss_difference
        assert (difference is None) == (group.users < FEWEST_USERS)
        if difference is not None:
            assert difference.mean == pytest.approx((model.log_loss - tuned.log_loss)[mask].mean())
            assert difference.low < difference.mean < difference.high


def test_empty_groups_are_left_out() -> None:
    masks = {"users": {"known": np.zeros(len(PARTS.test), bool), "new": np.ones(len(PARTS.test), bool)}}
    model = outcomes(DATASET, PARTS.test, 1)
    (group,) = score_groups(masks, model, model, user_of_row(DATASET)[PARTS.test])["users"]
    assert group.name == "new"
    assert group.log_loss_difference is not None
    assert group.log_loss_difference.mean == 0
