"""Several instances of a training job: adding up numbers, losing one, and training as one instance would."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loopback import free_port, needs_loopback_addresses
from made_visits import made_dataset

from visitcast.data.dataset import select_users
from visitcast.data.protocol import split
from visitcast.features import pipeline as features
from visitcast.model.gru import feed as feeding
from visitcast.model.gru import group
from visitcast.model.gru.gradient_step import GradientStep
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.shards import Shards

HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


def resource_config(folder: Path, hosts: list[str], number: int) -> Path:
    file = folder / f"resourceconfig-{number}.json"
    file.write_text(json.dumps({"hosts": hosts[::-1], "current_host": hosts[number]}))
    return file


def together(folder: Path, hosts: list[str], work: Callable[[group.Group], Any]) -> list[Any]:
    """Run each instance in a thread of its own; results or exceptions in the order of the hosts."""

    def one(number: int) -> Any:
        try:
            with group.join(resource_config(folder, hosts, number)) as instances:
                assert instances.rank == number
                return work(instances)
        except group.InstanceLostError as error:
            return error

    with ThreadPoolExecutor(len(hosts)) as pool:
        return list(pool.map(one, range(len(hosts))))


@pytest.fixture(autouse=True)
def _own_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(group.PORT_VARIABLE, str(free_port()))


@needs_loopback_addresses
@pytest.mark.parametrize("size", [2, 3])
def test_all_get_the_same_sum_and_the_first_ones_values(tmp_path: Path, size: int) -> None:
    def work(instances: group.Group) -> Any:
        values = np.arange(100_000, dtype=np.float32) * (instances.rank + 1)
        arrays = [np.full((2, 3), instances.rank), np.array([instances.rank + 0.5])]
        return (
            instances.sum(values),
            instances.from_first({"rank": instances.rank}),
            instances.arrays_from_first(arrays),
        )

    for total, value, (whole, half) in together(tmp_path, HOSTS[:size], work):
        np.testing.assert_array_equal(total, np.arange(100_000, dtype=np.float32) * (3 if size == 2 else 6))
        assert value == {"rank": 0}
        np.testing.assert_array_equal(whole, np.zeros((2, 3)))
        assert half == [0.5]


@pytest.mark.parametrize("hosts", [pytest.param(None, id="no file"), pytest.param(["algo-1"], id="one host")])
def test_an_instance_alone_needs_no_network(tmp_path: Path, hosts: list[str] | None) -> None:
    file = resource_config(tmp_path, hosts, 0) if hosts else tmp_path / "missing.json"
    with group.join(file) as instances:
        assert instances.leads
        assert instances.size == 1
        np.testing.assert_array_equal(instances.sum(np.ones(3, np.float32)), np.ones(3))


@needs_loopback_addresses
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_the_others_end_when_an_instance_is_lost(tmp_path: Path, lost: int) -> None:
    def work(instances: group.Group) -> Any:
        instances.sum(np.ones(3, np.float32))
        if instances.rank == lost:
            return None  # leaves the block: its connections close, as when the process dies
        for _ in range(2):
            instances.sum(np.ones(3, np.float32))
        return "went on"

    results = together(tmp_path, HOSTS, work)
    for rank, result in enumerate(results):
        if rank != lost:
            assert isinstance(result, group.InstanceLostError)
            assert "gone or silent" in str(result)


@needs_loopback_addresses
def test_an_instance_that_never_comes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "JOIN_SECONDS", 0.2)
    with (
        pytest.raises(group.InstanceLostError, match=r"127\.0\.0\.2 did not join"),
        group.join(resource_config(tmp_path, HOSTS[:2], 0)),
    ):
        pass


def test_two_instances_read_together_what_one_with_twice_the_batch_reads() -> None:
    dataset = made_dataset(users=60, mean_days=60, seed=2)
    parts = split(dataset)
    pipeline = features.fit(dataset, parts.validation_starts)
    halves = [lambda: select_users(dataset, slice(0, 30)), lambda: select_users(dataset, slice(30, 60))]
    shards = Shards(halves, pipeline, parts.validation_starts)
    assert shards.labelled == len(parts.train)
    one, two = Hyperparameters(batch_size=512), Hyperparameters(batch_size=256)

    def read(settings: Hyperparameters, rank: int, size: int) -> list[dict[str, Any]]:
        return list(feeding.feed(shards, settings, 1, group.Group(rank, size)).as_numpy_iterator())

    whole, first, second = read(one, 0, 1), read(two, 0, 2), read(two, 1, 2)

    assert len(whole) == len(first) == len(second) == feeding.steps_per_epoch(shards, 512, group.Group()) > 2
    for batch, *halves_of_it in zip(whole, first, second, strict=True):
        for rank, half in enumerate(halves_of_it):
            for name in ("visit", "fresh"):
                np.testing.assert_array_equal(batch[name][:, rank::2], half[name])
            for mask, its in zip(batch["masks"], half["masks"], strict=True):
                np.testing.assert_array_equal(mask[:, rank::2], its)
            here = batch["lane"] % 2 == rank
            np.testing.assert_array_equal(batch["lane"][here] // 2, half["lane"])
            for name in ("target", "log_prior", "first_hour", "hourly_visits"):
                np.testing.assert_array_equal(batch[name][here], half[name])


def test_an_instance_without_a_lane_in_a_batch_adds_nothing() -> None:
    dataset = made_dataset(users=60, mean_days=60, seed=2)
    after = int(dataset.visit_date.max()) + 1
    shards = Shards([lambda: dataset], features.fit(dataset, after), after)
    settings = Hyperparameters(batch_size=128, units=8)
    size = shards.lanes[0] - 1  # so many instances that the last batch of all is one lane
    batch, last = feeding.feed(shards, settings, 1, group.Group(rank=1, size=size))
    assert len(last["wanted"]) == 0

    step = GradientStep(shards.visit_width, shards.target_width, settings, group.Group())
    np.testing.assert_array_equal(step.sums(last), np.zeros_like(step.sums(batch)))
