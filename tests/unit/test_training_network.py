"""The network alone: its ONNX model against Keras', what it may look at, and that training repeats itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_visits import made_dataset

from visitcast.data.dataset import select_users
from visitcast.data.protocol import split
from visitcast.features.histogram_features import HOUR_COLUMNS
from visitcast.features.histograms import histograms_before
from visitcast.features.pipeline import FeaturePipeline
from visitcast.model.gru import inference, network, trainer
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.onnx_graph import to_onnx
from visitcast.model.gru.packed_gru import PackedGru
from visitcast.model.gru.shards import Shards
from visitcast.model.gru.validation import validation_of

SETTINGS = Hyperparameters(epochs=3, units=8, batch_size=128, seed=3)


DATASET = made_dataset(users=25, mean_days=20, seed=1)
PARTS = split(DATASET)
ENCODING = FeaturePipeline(PARTS.validation_starts).fit(DATASET).encoding_
SHARDS = [lambda: select_users(DATASET, slice(0, 10)), lambda: select_users(DATASET, slice(10, 25))]


@pytest.fixture(scope="module")
def fit() -> Callable[[Hyperparameters, Path], trainer.Fit]:
    shards = Shards(SHARDS, ENCODING, PARTS.validation_starts)
    counts = histograms_before(DATASET, PARTS.validation)
    validation = validation_of(ENCODING, DATASET, PARTS.validation, counts)
    return lambda settings, folder: trainer.fit(shards, validation, settings, folder)


@pytest.fixture(scope="module")
def fitted(
    fit: Callable[[Hyperparameters, Path], trainer.Fit], tmp_path_factory: pytest.TempPathFactory
) -> trainer.Fit:
    return fit(SETTINGS, tmp_path_factory.mktemp("checkpoints"))


def test_onnx_and_keras_give_the_same_logits() -> None:
    rng = np.random.default_rng(0)
    width = 3 - HOUR_COLUMNS.start  # three features before the blocks of hours
    model = network.build(visit_width=5, target_width=width, units=6)
    model.set_weights([rng.normal(0, 0.2, weight.shape) for weight in model.get_weights()])
    weights = dict(
        zip(network.weight_names(model), (variable.numpy() for variable in model.trainable_variables), strict=True)
    )
    visit = rng.normal(size=(11, 3, 5)).astype(np.float32)
    wanted = np.array([0, 1, 5, 12, 31, 32], dtype=np.int32)
    target, log_prior = (rng.normal(size=(len(wanted), size)).astype(np.float32) for size in (width, 24))
    masks = [np.ones((1, 3, size), np.float32) for size in network.mask_widths(5, 6)]

    expected = model([visit, np.zeros((11, 3, 1), np.float32), wanted, wanted % 3, target, log_prior, *masks])
    # Three users of eleven visits and a target day each; the state before a row is that after the visit before it.
    rows = wanted % 3 * 12 + wanted // 3 + 1
    order = np.argsort(rows)
    found = inference.logits(
        inference.load(to_onnx(weights)),
        lambda row: visit[row % 12, row // 12],
        np.arange(4) * 12,
        rows[order],
        target[order],
        log_prior[order],
    )

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other.numpy()[order], rtol=1e-5, atol=1e-5)


def test_a_lane_has_one_mask_behind_the_gru() -> None:
    rng = np.random.default_rng(0)
    width = 3 - HOUR_COLUMNS.start
    model = network.build(visit_width=5, target_width=width, units=6)
    model.set_weights([rng.normal(0, 0.2, weight.shape) for weight in model.get_weights()])
    masks = [np.ones((1, 2, size), np.float32) for size in network.mask_widths(5, 6)]
    masks[2][0, 1] = 0  # nothing hidden gets through in the second lane
    visit, wanted = rng.normal(size=(4, 2, 5)).astype(np.float32), np.arange(8, dtype=np.int32)
    inputs = [visit, np.zeros((4, 2, 1), np.float32), wanted, wanted % 2]

    def forecast(hidden: float) -> np.ndarray:
        target = np.zeros((8, width), np.float32)
        target[:, 0] = hidden
        return np.asarray(model([*inputs, target, np.zeros((8, 24), np.float32), *masks])[0])

    changed = np.abs(forecast(3.0) - forecast(-3.0)).max(axis=1) > 1e-3
    np.testing.assert_array_equal(changed, wanted % 2 == 0)


def test_the_packed_gru_is_keras_gru_on_each_sequence_alone() -> None:
    rng = np.random.default_rng(0)
    visit = tf.constant(rng.normal(size=(9, 2, 5)), tf.float32)
    lengths = [[4, 5], [2, 7]]  # of the sequences of each lane
    fresh = np.zeros((9, 2, 1), np.float32)
    for lane, first in enumerate(lengths):
        fresh[[0, first[0]], lane] = 1
    packed, plain = PackedGru(6, name="packed"), keras.layers.GRU(6, return_sequences=True)
    packed(visit, fresh)
    plain(visit)
    values = [rng.normal(0, 0.5, weight.shape) for weight in plain.get_weights()]
    packed.set_weights(values)
    plain.set_weights(values)

    with tf.GradientTape() as tape:
        tape.watch(visit)
        found = packed(visit, fresh)
        loss = tf.reduce_sum(found**2)
    found_gradients = tape.gradient(loss, [visit, *packed.trainable_variables])
    with tf.GradientTape() as tape:
        tape.watch(visit)
        alone = [
            [plain(part[None])[0] for part in tf.split(visit[:, lane], sizes)] for lane, sizes in enumerate(lengths)
        ]
        expected = tf.stack([tf.concat(parts, 0) for parts in alone], axis=1)
        loss = tf.reduce_sum(expected**2)
    expected_gradients = tape.gradient(loss, [visit, *plain.trainable_variables])

    np.testing.assert_allclose(found, expected, atol=1e-6)
    for one, other in zip(found_gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_dropout_keeps_the_mean() -> None:
    (mask,) = network.dropout_masks((0, 0), 1000, (100,), dropout=0.25)
    assert np.mean(mask) == pytest.approx(1, abs=0.01)
    assert np.mean(mask == 0) == pytest.approx(0.25, abs=0.01)


def test_a_later_visit_never_changes_an_earlier_forecast(fitted: trainer.Fit) -> None:
    offsets = DATASET.offsets
    wanted = np.setdiff1d(np.arange(DATASET.visit_days), offsets[:-1])
    known = validation_of(ENCODING, DATASET, wanted, histograms_before(DATASET, wanted))
    learnt = inference.load(to_onnx(fitted.weights))
    before, _ = known.logits(learnt)
    for row in np.random.default_rng(0).choice(wanted, 10):
        visit = known.read_visits(np.arange(DATASET.visit_days))
        visit[row] += 5
        after, _ = replace(known, read_visits=visit.__getitem__).logits(learnt)
        changed = wanted[np.abs(after - before).max(axis=1) > 1e-6]
        end = offsets[np.searchsorted(offsets, row, side="right")]
        assert np.all((changed > row) & (changed < end))
        assert row == end - 1 or row + 1 in changed


def test_training_lowers_both_losses(fitted: trainer.Fit) -> None:
    first, last = fitted.epochs[0], fitted.epochs[-1]
    assert last.train_loss < first.train_loss
    assert last.validation_log_loss < first.validation_log_loss


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    fit: Callable[[Hyperparameters, Path], trainer.Fit], fitted: trainer.Fit, tmp_path: Path
) -> None:
    again = fit(SETTINGS, tmp_path / "same")
    other = fit(replace(SETTINGS, seed=4, epochs=1), tmp_path / "other")
    for name, value in fitted.weights.items():
        np.testing.assert_array_equal(again.weights[name], value)
    assert not np.array_equal(other.weights["gru/kernel"], fitted.weights["gru/kernel"])


def test_an_interrupted_training_continues_where_it_stopped(
    fit: Callable[[Hyperparameters, Path], trainer.Fit],
    fitted: trainer.Fit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = trainer._report

    def interrupt_after_two(epoch: trainer.Epoch, epochs: int) -> None:
        report(epoch, epochs)
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "_report", interrupt_after_two)
    with pytest.raises(KeyboardInterrupt):
        fit(SETTINGS, tmp_path)
    monkeypatch.undo()

    resumed = fit(SETTINGS, tmp_path)

    assert [epoch.validation_log_loss for epoch in resumed.epochs] == [
        epoch.validation_log_loss for epoch in fitted.epochs
    ]
    for name, value in fitted.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], value)


def test_a_checkpoint_of_other_settings_is_not_continued(
    fit: Callable[[Hyperparameters, Path], trainer.Fit], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(replace(SETTINGS, epochs=1), tmp_path)
    fit(replace(SETTINGS, epochs=1, dropout=0.1), tmp_path)
    assert "belongs to other settings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("losses", "settings", "elapsed", "ends"),
    [
        pytest.param([], {}, 0.0, False, id="start"),
        pytest.param([2.0, 1.9], {"epochs": 2}, 0.0, True, id="last epoch"),
        pytest.param([2.0, 2.1, 2.2], {"patience": 2}, 0.0, True, id="patience used up"),
        pytest.param([2.0, 2.1, 1.9], {"patience": 2}, 0.0, False, id="better again"),
        pytest.param([2.0], {"max_seconds": 30}, 21.0, True, id="no time for another epoch"),
        pytest.param([2.0], {"max_seconds": 30}, 19.0, False, id="time for another epoch"),
    ],
)
def test_when_training_ends(losses: list[float], settings: dict[str, Any], elapsed: float, ends: bool) -> None:
    epochs = [trainer.Epoch(number, 3.0, loss, 1e-3, 10.0) for number, loss in enumerate(losses, 1)]
    assert trainer.finished(epochs, Hyperparameters(**{"epochs": 8, **settings}), 100, elapsed) is ends


def test_patience_begins_after_the_warm_up() -> None:
    epochs = [trainer.Epoch(number, 3.0, 2.0 + number / 10, 1e-3, 1.0) for number in range(1, 8)]
    settings = Hyperparameters(epochs=30, patience=3)
    assert [trainer.finished(epochs[:count], settings, 10, 0.0) for count in range(1, 8)] == [False] * 7
    assert trainer.finished([*epochs, epochs[-1]], settings, 10, 0.0)  # the fifth is the first warm one


def test_the_learning_rate_warms_up_and_ends_near_zero() -> None:
    factors = [trainer.rate_factor(step, 400) for step in range(400)]
    assert factors[0] < 0.05
    assert max(factors) > 0.9
    assert factors[-1] < 0.001
