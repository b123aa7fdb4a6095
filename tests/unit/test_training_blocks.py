"""Training's view of a dataset: block by block what the whole dataset gives, in memory or made anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import changed, datasets, made_dataset
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, select_users, user_of_row
from visitcast.data.protocol import split
from visitcast.features import encoding as features
from visitcast.features.pipeline import FeaturePipeline
from visitcast.model.gru import blocks as reading
from visitcast.model.gru.blocks import TrainingBlocks

DATASET = made_dataset(users=40, mean_days=20, seed=4)
PARTS = split(DATASET)
ENCODING = FeaturePipeline(PARTS.validation_starts).fit(DATASET).encoding_


def trained_users(train: NDArray[np.int64]) -> Dataset:
    """Users with training rows, which alone are read."""
    return select_users(DATASET, np.unique(user_of_row(DATASET)[train]))


@pytest.mark.parametrize("kept", [0, DATASET.visit_days // 2, 10**9], ids=["none kept", "some kept", "all kept"])
@pytest.mark.parametrize("train", [PARTS.train, PARTS.train[::7]], ids=["all rows", "some rows"])
def test_blocks_hold_together_what_the_dataset_does(
    monkeypatch: pytest.MonkeyPatch, kept: int, train: NDArray[np.int64]
) -> None:
    monkeypatch.setattr(reading, "KEPT_VISIT_DAYS", kept)
    monkeypatch.setattr(reading, "BLOCK_VISIT_DAYS", DATASET.visit_days // 3)
    users = trained_users(train)
    whole = features.transform(ENCODING, users)
    blocks = TrainingBlocks(DATASET, train, ENCODING)
    numbers = range(len(blocks.lanes))
    assert len(numbers) >= 3
    for _ in range(2):  # the second time from memory, or made anew
        opened = [blocks.open(number) for number in numbers]
        for name, expected in (
            ("visit", whole.history),
            ("target", whole.target),
            ("log_prior", whole.log_prior),
            ("first_hour", users.first_visit_hour),
            ("hourly_visits", users.hourly_visits),
        ):
            np.testing.assert_array_equal(np.concatenate([getattr(block, name) for block in opened]), expected)
        before = np.cumsum([0, *(len(block.visit) for block in opened)])
        wanted = [lanes.rows[lanes.wanted] + start for lanes, start in zip(blocks.lanes, before, strict=False)]
        rows = np.sort(np.concatenate(wanted))
        np.testing.assert_array_equal(users.visit_date[rows], DATASET.visit_date[train])
        np.testing.assert_array_equal(
            users.user_ids[user_of_row(users)[rows]], DATASET.user_ids[user_of_row(DATASET)[train]]
        )
    assert blocks.labelled == len(train)


def test_no_more_features_are_kept_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "KEPT_VISIT_DAYS", DATASET.visit_days // 2)
    monkeypatch.setattr(reading, "BLOCK_VISIT_DAYS", DATASET.visit_days // 5)
    made: list[Dataset] = []
    transform = features.transform
    monkeypatch.setattr(features, "transform", lambda *given: made.append(given[1]) or transform(*given))
    blocks = TrainingBlocks(DATASET, PARTS.train, ENCODING)
    opened = [[blocks.open(number) for number in range(len(blocks.lanes))] for _ in range(2)]
    kept = [block for block, again in zip(*opened, strict=True) if block is again]
    assert 0 < sum(len(block.visit) for block in kept) <= DATASET.visit_days // 2
    assert len(made) == 2 * len(blocks.lanes) - len(kept)


@settings(deadline=None, max_examples=20)
@given(datasets(), st.integers(0, 10_000))
def test_the_digest_follows_the_data(dataset: Dataset, seed: int) -> None:
    rows = np.setdiff1d(np.arange(dataset.visit_days), dataset.offsets[:-1])
    hours = dataset.first_visit_hour.copy()
    hours[rows[seed % len(rows)] if len(rows) else 0] += 1
    other = changed(dataset, first_visit_hour=hours % 24)
    digests = [TrainingBlocks(one, rows, ENCODING).digest for one in (dataset, dataset, other)]
    assert digests[0] == digests[1]
    assert (digests[0] == digests[2]) is (len(rows) == 0)
