"""The network alone: its NumPy pass against Keras', what it may look at, and that training repeats itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_visits import made_dataset

from training import network, trainer
from training.hyperparameters import Hyperparameters
from training.packed_gru import PackedGru
from visitcast import features
from visitcast.forecasting import inference
from visitcast.forecasting.rows import Rows, assemble
from visitcast.histogram_features import HOUR_COLUMNS
from visitcast.protocol import Split, split

SETTINGS = Hyperparameters(epochs=3, units=8, batch_size=128, seed=3)


@pytest.fixture(scope="module")
def made() -> tuple[Rows, Split]:
    dataset = made_dataset(users=25, mean_days=20, seed=1)
    parts = split(dataset)
    return assemble(dataset, features.transform(features.fit(dataset, parts.validation_starts), dataset)), parts


@pytest.fixture(scope="module")
def fit(made: tuple[Rows, Split]) -> Callable[[Hyperparameters, Path], trainer.Fit]:
    rows, parts = made
    return lambda settings, folder: trainer.fit(rows, parts.train, parts.validation, settings, folder)


@pytest.fixture(scope="module")
def fitted(
    fit: Callable[[Hyperparameters, Path], trainer.Fit], tmp_path_factory: pytest.TempPathFactory
) -> trainer.Fit:
    return fit(SETTINGS, tmp_path_factory.mktemp("checkpoints"))


def test_numpy_and_keras_give_the_same_logits() -> None:
    rng = np.random.default_rng(0)
    width = 3 - HOUR_COLUMNS.start  # three features before the blocks of hours
    model = network.build(visit_width=5, target_width=width, units=6)
    model.set_weights([rng.normal(0, 0.2, weight.shape) for weight in model.get_weights()])
    weights = dict(
        zip(network.weight_names(model), (variable.numpy() for variable in model.trainable_variables), strict=True)
    )
    visit, target, log_prior = (rng.normal(size=(11, 3, size)).astype(np.float32) for size in (5, width, 24))
    masks = network.dropout_masks(rng, 3, network.mask_widths(5, 6), dropout=0.0)

    expected = model([visit, np.zeros((11, 3, 1), np.float32), target, log_prior, *masks])
    state = inference.gru(weights, visit.swapaxes(0, 1)).swapaxes(0, 1)
    found = inference.heads(weights, state.reshape(33, 6), target.reshape(33, -1), log_prior.reshape(33, 24))

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.reshape(11, 3, 24), other.numpy(), rtol=1e-5, atol=1e-4)


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
    (mask,) = network.dropout_masks(np.random.default_rng(0), 1000, (100,), dropout=0.25)
    assert mask.mean() == pytest.approx(1, abs=0.01)
    assert (mask == 0).mean() == pytest.approx(0.25, abs=0.01)


def test_a_later_visit_never_changes_an_earlier_forecast(made: tuple[Rows, Split], fitted: trainer.Fit) -> None:
    rows, _ = made
    wanted = np.setdiff1d(np.arange(len(rows.first_hour)), rows.offsets[:-1])
    before, _ = inference.logits(fitted.weights, rows, wanted)
    for row in np.random.default_rng(0).choice(wanted, 10):
        visit = rows.visit.copy()
        visit[row] += 5
        after, _ = inference.logits(fitted.weights, replace(rows, visit=visit), wanted)
        changed = wanted[np.abs(after - before).max(axis=1) > 1e-6]
        end = rows.offsets[np.searchsorted(rows.offsets, row, side="right")]
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
        pytest.param([], Hyperparameters(), 0.0, False, id="start"),
        pytest.param([2.0, 1.9], Hyperparameters(epochs=2), 0.0, True, id="last epoch"),
        pytest.param([2.0, 2.1, 2.2], Hyperparameters(patience=2), 0.0, True, id="patience used up"),
        pytest.param([2.0, 2.1, 1.9], Hyperparameters(patience=2), 0.0, False, id="better again"),
        pytest.param([2.0], Hyperparameters(max_seconds=30), 21.0, True, id="no time for another epoch"),
        pytest.param([2.0], Hyperparameters(max_seconds=30), 19.0, False, id="time for another epoch"),
    ],
)
def test_when_training_ends(losses: list[float], settings: Hyperparameters, elapsed: float, ends: bool) -> None:
    epochs = [trainer.Epoch(number, 3.0, loss, 1e-3, 10.0) for number, loss in enumerate(losses, 1)]
    assert trainer.finished(epochs, settings, elapsed) is ends


def test_the_learning_rate_warms_up_and_ends_near_zero() -> None:
    factors = [trainer.rate_factor(step, 400) for step in range(400)]
    assert factors[0] < 0.05
    assert max(factors) > 0.9
    assert factors[-1] < 0.001
