"""Training's view of a dataset: shard by shard what the whole dataset gives, in memory or made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import changed, datasets, made_dataset

from visitcast.data.dataset import Dataset, select_users, write_shard
from visitcast.data.manifest import Counts, CutOffs, Manifest, write_manifest
from visitcast.data.protocol import split
from visitcast.errors import InputError
from visitcast.features import encoding
from visitcast.features.pipeline import FeaturePipeline
from visitcast.model.gru import shards as reading
from visitcast.model.gru.shards import Shards

DATASET = made_dataset(users=40, mean_days=20, seed=4)
PARTS = split(DATASET)
ENCODING = FeaturePipeline(PARTS.validation_starts).fit(DATASET).encoding_


def parted(ends: list[int]) -> list[Callable[[], Dataset]]:
    """Read the dataset's users in parts that end before these users."""
    starts = [0, *ends]
    return [
        lambda start=start, end=end: select_users(DATASET, slice(start, end))
        for start, end in zip(starts, [*ends, DATASET.users], strict=True)
    ]


@pytest.mark.parametrize("kept", [0, DATASET.visit_days // 2, 10**9], ids=["none kept", "some kept", "all kept"])
def test_shards_hold_together_what_the_dataset_does(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(reading, "KEPT_VISIT_DAYS", kept)
    whole = encoding.transform(ENCODING, DATASET)
    shards = Shards(parted([7, 30]), ENCODING, PARTS.validation_starts)
    for _ in range(2):  # the second time from memory, or made anew
        opened = [shards.open(number) for number in range(3)]
        for name, expected in (
            ("visit", whole.history),
            ("target", whole.target),
            ("log_prior", whole.log_prior),
            ("first_hour", DATASET.first_visit_hour),
            ("hourly_visits", DATASET.hourly_visits),
        ):
            np.testing.assert_array_equal(np.concatenate([getattr(shard, name) for shard in opened]), expected)
        before = np.cumsum([0, *(len(shard.visit) for shard in opened)])
        wanted = [shard.lanes.rows[shard.lanes.wanted] + start for shard, start in zip(opened, before, strict=False)]
        np.testing.assert_array_equal(np.sort(np.concatenate(wanted)), PARTS.train)
        assert [len(shard.lanes.rows) for shard in opened] == shards.lanes
    assert shards.labelled == len(PARTS.train)


def test_no_more_features_are_kept_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "KEPT_VISIT_DAYS", DATASET.visit_days // 2)
    reads: list[int] = []

    def counted(number: int, read: Callable[[], Dataset]) -> Callable[[], Dataset]:
        return lambda: reads.append(number) or read()  # type: ignore[func-returns-value]

    shards = Shards(
        [counted(number, read) for number, read in enumerate(parted([10, 20, 30]))], ENCODING, PARTS.validation_starts
    )
    reads.clear()
    for _ in range(3):
        for number in range(4):
            shards.open(number)
    kept = [number for number in range(4) if reads.count(number) == 1]
    assert 0 < sum(len(shards.open(number).visit) for number in kept) <= DATASET.visit_days // 2
    assert all(reads.count(number) == 3 for number in range(4) if number not in kept)


@settings(deadline=None, max_examples=20)
@given(datasets(), st.integers(0, 10_000))
def test_the_digest_follows_the_data(dataset: Dataset, seed: int) -> None:
    after = int(dataset.visit_date.max()) + 1
    hours = dataset.first_visit_hour.copy()
    row = seed % dataset.visit_days
    hours[row] = (hours[row] + 1) % 24
    other = changed(dataset, first_visit_hour=hours)
    digests = [Shards([lambda one=one: one], ENCODING, after).digest for one in (dataset, dataset, other)]  # type: ignore[misc]
    assert digests[0] == digests[1] != digests[2]


def test_a_folder_is_read_shard_by_shard(tmp_path: Path) -> None:
    files = [write_shard(tmp_path, f"shard-{number}.npz", read()) for number, read in enumerate(parted([11]))]
    counts = Counts(DATASET.users, DATASET.visit_days, 1, 1, 1)
    write_manifest(tmp_path, Manifest("", "", [], [], files, counts, CutOffs("", ""), {}))
    first, second = reading.readers(tmp_path)
    assert [first().users, second().users] == [11, DATASET.users - 11]
    (tmp_path / files[1].file).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        second()
