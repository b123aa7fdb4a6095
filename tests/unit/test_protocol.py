import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import made_dataset

from functions.shared.execution_input import load_schema
from visitcast.data.dataset import position_in_history
from visitcast.data.protocol import MAX_FOLDS, MINIMUM_HISTORY, eligible_rows, require_enough_rows, split
from visitcast.errors import InputError

FOLDS = [(fold, folds) for folds in (1, 3, MAX_FOLDS) for fold in range(1, folds + 1)]


def by_hand(dataset, fold, folds):
    """The protocol as its text says it, row by row."""
    rows = [row for row, earlier in enumerate(position_in_history(dataset)) if earlier >= 3]
    dates = sorted(int(dataset.visit_date[row]) for row in rows)
    earlier_windows = 0 if fold == 0 else folds - fold + 1
    cuts = [dates[len(dates) * (8 + window - earlier_windows) // 10] for window in (0, 1)]
    end = dates[len(dates) * (10 - earlier_windows) // 10] if fold else 10**9
    parts = {"train": [], "validation": [], "test": []}
    for row in rows:
        day = dataset.visit_date[row]
        if day < cuts[0]:
            parts["train"].append(row)
        elif day < cuts[1]:
            parts["validation"].append(row)
        elif day < end:
            parts["test"].append(row)
    return parts


@given(st.integers(0, 1000), st.sampled_from([(0, 0), *FOLDS]))
@settings(max_examples=60, deadline=None)
def test_the_split_is_the_protocols_text(seed, fold):
    dataset = made_dataset(users=12, seed=seed)
    if len(eligible_rows(dataset)) == 0:
        return
    parts = split(dataset, *fold)
    expected = by_hand(dataset, *fold)
    assert {name: getattr(parts, name).tolist() for name in expected} == expected


@pytest.mark.parametrize("fold", [(0, 0), *FOLDS], ids=str)
def test_parts_never_overlap_in_time(fold):
    dataset = made_dataset(users=200)
    parts = split(dataset, *fold)
    dates = dataset.visit_date
    assert dates[parts.train].max() < parts.validation_starts <= dates[parts.validation].min()
    assert dates[parts.validation].max() < parts.test_starts <= dates[parts.test].min()


@pytest.mark.parametrize("fold", FOLDS, ids=str)
def test_no_fold_sees_a_test_row_of_the_full_protocol(fold):
    dataset = made_dataset(users=200)
    parts = split(dataset, *fold)
    seen = np.concatenate([parts.train, parts.validation, parts.test])
    assert not np.isin(split(dataset).test, seen).any()


def test_the_last_fold_tests_on_the_full_validation_window():
    dataset = made_dataset(users=100)
    assert split(dataset, 4, 4).test.tolist() == split(dataset).validation.tolist()


def test_later_folds_have_more_to_train_on():
    dataset = made_dataset(users=100)
    sizes = [len(split(dataset, fold, 5).train) for fold in range(1, 6)]
    assert sizes == sorted(set(sizes))


def test_eligible_rows_have_enough_history():
    dataset = made_dataset()
    earlier = position_in_history(dataset)
    rows = eligible_rows(dataset)
    assert earlier[rows].min() == MINIMUM_HISTORY
    assert np.delete(earlier, rows).max() == MINIMUM_HISTORY - 1


@pytest.mark.parametrize("fold", [(1, 0), (0, 3), (4, 3), (-1, 3), (1, MAX_FOLDS + 1)], ids=str)
def test_there_is_no_such_fold(fold):
    with pytest.raises(InputError, match="no such cross-validation fold"):
        split(made_dataset(), *fold)


def test_nobody_with_history():
    with pytest.raises(InputError, match="enough history"):
        split(made_dataset(users=5, mean_days=1))


def test_too_few_rows_are_counted_for_people():
    with pytest.raises(InputError, match=r"train \d+ \(at least 100\)"):
        require_enough_rows(split(made_dataset(users=5, mean_days=10)))


def test_the_execution_input_allows_as_many_folds_as_the_protocol() -> None:
    folds = load_schema("train")["properties"]["CrossValidation"]["properties"]["Folds"]
    assert folds["maximum"] == MAX_FOLDS
