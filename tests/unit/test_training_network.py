"""The network alone: its ONNX model against Keras', what it may look at, and that training repeats itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_visits import changed as changed_columns
from made_visits import made_dataset

from benchmarks.network_weights import weights_of
from visitcast.data.dataset import days_since_last_visit, position_in_history, select_users, user_of_row
from visitcast.data.protocol import MINIMUM_HISTORY, split
from visitcast.data.schedule import as_known, hours_known
from visitcast.features.histogram_features import HOUR_COLUMNS
from visitcast.features.histograms import histograms_before, last_histograms
from visitcast.features.pipeline import FeaturePipeline
from visitcast.model.gru import blocks, feed, inference, network, trainer
from visitcast.model.gru.blocks import TrainingBlocks
from visitcast.model.gru.gradient_step import GradientStep
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.learner import GruLearner
from visitcast.model.gru.onnx_graph import to_onnx
from visitcast.model.gru.packed_gru import PackedGru
from visitcast.model.gru.scorer import GruScorer
from visitcast.model.learner import Learnt, TrainingData

SETTINGS = Hyperparameters(epochs=3, units=8, batch_size=128, seed=3)

DATASET = made_dataset(users=25, mean_days=20, seed=1)
PARTS = split(DATASET)
ENCODING = FeaturePipeline(PARTS.validation_starts).fit(DATASET).encoding_
DATA = TrainingData(DATASET, PARTS.train, PARTS.validation, histograms_before(DATASET, PARTS.validation), ENCODING)


@pytest.fixture(scope="module", autouse=True)
def _two_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_VISIT_DAYS", DATASET.visit_days // 2 + 1)
        yield


def fit(settings: Hyperparameters, folder: Path | None = None) -> Learnt:
    return GruLearner(settings).fit(DATA, folder)


def weights(learnt: Learnt) -> dict[str, np.ndarray]:
    assert isinstance(learnt.scorer, GruScorer)
    return weights_of(learnt.scorer.network)


def validation_losses(learnt: Learnt) -> list[float]:
    return [epoch["validation_log_loss"] for epoch in learnt.metadata["learning_curve"]]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Learnt:
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
        np.zeros(len(wanted), dtype=bool),
    )

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other.numpy()[order], rtol=1e-5, atol=1e-5)


def test_a_day_whose_eve_is_not_over_is_learnt_as_it_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "AS_SCHEDULED_SHARE", 1.0)
    monkeypatch.setattr(blocks, "BLOCK_VISIT_DAYS", 10_000)
    everybody = made_dataset(users=20, mean_days=25, seed=3)
    dataset = select_users(everybody, np.flatnonzero(np.diff(everybody.offsets) > MINIMUM_HISTORY))
    offsets = np.array([-480, 60, 540])[user_of_row(dataset) % 3].astype(np.int16)
    dataset = changed_columns(dataset, utc_offset_minutes=offsets)
    # The schedule may know one visit day less.
    rows = np.flatnonzero(position_in_history(dataset) > MINIMUM_HISTORY)
    encoding = FeaturePipeline(int(dataset.visit_date.max())).fit(dataset).encoding_
    made = TrainingBlocks(dataset, rows, encoding)
    model = network.build(made.visit_width, made.target_width, units=6)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.2, weight.shape) for weight in model.get_weights()])
    weights = dict(
        zip(network.weight_names(model), (variable.numpy() for variable in model.trainable_variables), strict=True)
    )
    (lanes,) = made.lanes
    batch = feed._gather(made.open(0), lanes, rng)
    masks = [np.ones((1, len(lanes.rows), size), np.float32) for size in network.mask_widths(made.visit_width, 6)]
    names = ("visit", "fresh", "wanted", "lane", "target", "log_prior")
    learnt = [logits.numpy() for logits in model([*(batch[name] for name in names), *masks])]

    row = lanes.rows.T[lanes.wanted.T]
    known = as_known(dataset, user_of_row(dataset)[row], dataset.visit_date[row])
    assert len(known.pairs) == len(rows)
    asked = known.dataset.offsets[1:] - 1
    date, offset = known.dataset.visit_date[asked], known.dataset.utc_offset_minutes[asked - 1]
    eve_hours = hours_known(date - 1, offset, known.as_of)
    seen, came = known.dataset.visit_date[asked - 1] == date - 1, days_since_last_visit(dataset, row) == 1
    assert (came & ~seen).any()  # The visit came later.
    partly = known.dataset.hourly_visits[asked - 1] != dataset.hourly_visits[row - 1]
    assert (seen & partly).any()
    assert (seen & ~partly & (eve_hours == 24)).any()  # The day is over in the east.
    served = GruScorer(inference.load(to_onnx(weights)), encoding).logits(
        known.dataset, asked, last_histograms(known.dataset), eve_hours
    )
    for one, other in zip(learnt, served, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


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


def test_a_later_visit_never_changes_an_earlier_forecast(fitted: Learnt) -> None:
    offsets = DATASET.offsets
    wanted = np.setdiff1d(np.arange(DATASET.visit_days), offsets[:-1])
    histograms = histograms_before(DATASET, wanted)
    before = fitted.scorer.logits(DATASET, wanted, histograms).first_hour
    for row in np.random.default_rng(0).choice(wanted, 10):
        time_spent = DATASET.total_time_spent_s.copy()
        time_spent[row] += 100_000  # read by the GRU alone, not by the histograms
        after = fitted.scorer.logits(
            changed_columns(DATASET, total_time_spent_s=time_spent), wanted, histograms
        ).first_hour
        changed = wanted[np.abs(after - before).max(axis=1) > 1e-6]
        end = offsets[np.searchsorted(offsets, row, side="right")]
        assert np.all((changed > row) & (changed < end))
        assert row == end - 1 or row + 1 in changed


def test_training_lowers_both_losses(fitted: Learnt) -> None:
    first, *_, last = fitted.metadata["learning_curve"]
    assert last["train_loss"] < first["train_loss"]
    assert last["validation_log_loss"] < first["validation_log_loss"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(fitted: Learnt) -> None:
    again, other = fit(SETTINGS), fit(replace(SETTINGS, seed=4, epochs=1))
    for name, value in weights(fitted).items():
        np.testing.assert_array_equal(weights(again)[name], value)
    assert not np.array_equal(weights(other)["gru/kernel"], weights(fitted)["gru/kernel"])


def test_an_interrupted_training_continues_where_it_stopped(
    fitted: Learnt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = trainer._report

    def interrupt_after_two(epoch: trainer.Epoch, epochs: int) -> None:
        report(epoch, epochs)
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "_report", interrupt_after_two)
    with pytest.raises(KeyboardInterrupt):
        fit(SETTINGS, tmp_path)
    monkeypatch.setattr(trainer, "_report", report)

    resumed = fit(SETTINGS, tmp_path)

    assert validation_losses(resumed) == validation_losses(fitted)
    for name, value in weights(fitted).items():
        np.testing.assert_array_equal(weights(resumed)[name], value)


def test_the_average_of_few_steps_is_near_the_weights() -> None:
    training = blocks.TrainingBlocks(DATASET, PARTS.train, ENCODING)
    step = GradientStep(training.visit_width, training.target_width, SETTINGS)
    first = step.averaged_weights()
    for number in range(1, 4):
        for batch in feed.feed(training, SETTINGS, number):
            step.take(batch, SETTINGS.learning_rate)
    last = dict(zip(first, (variable.numpy() for variable in step.model.trainable_variables), strict=True))

    def distance(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
        return sum(float(np.abs(one[name] - other[name]).sum()) for name in one)

    assert distance(step.averaged_weights(), last) < 0.5 * distance(first, last)


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
