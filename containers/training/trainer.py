"""Fits the network: early stopping on the validation log loss, checkpoints, deterministic for a seed."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training import checkpoint, network
from training.hyperparameters import Hyperparameters
from visitcast.contract import progress
from visitcast.forecasting import inference
from visitcast.forecasting.rows import Rows
from visitcast.forecasting.sequences import Batch, batches, cut
from visitcast.metrics import log_losses
from visitcast.schema import HOURS

AVERAGE_MOMENTUM = 0.99
"""Of the moving average of the weights, which forecasts better than the last weights at no cost."""
WEIGHT_DECAY = 1e-4
CLIP_NORM = 1.0
WARM_UP_STEPS = 50
SMALLEST_GAIN = 1e-4


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the learning curve; losses in nats."""

    epoch: int
    train_loss: float
    validation_log_loss: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Fit:
    """The best weights on validation, and how training went.

    Attributes
    ----------
    weights : dict
        Arrays for :mod:`visitcast.forecasting.inference`.
    epochs : list of Epoch
        Learning curve, epochs before a resume included.
    labelled_visits_per_second : float
        Training rows seen per second of gradient steps.
    """

    weights: inference.Weights
    epochs: list[Epoch]
    labelled_visits_per_second: float


class Trainer:
    """Network, optimizer and the moving average of the weights.

    Parameters
    ----------
    rows : Rows
        Visit days.
    hyperparameters : Hyperparameters
        Settings.
    """

    def __init__(self, rows: Rows, hyperparameters: Hyperparameters) -> None:
        self.rows = rows
        self.dropout = hyperparameters.dropout
        self.mask_widths = network.mask_widths(rows.visit.shape[1], hyperparameters.units)
        self.model = network.build(rows.visit.shape[1], rows.target.shape[1], hyperparameters.units)
        self.optimizer = keras.optimizers.AdamW(
            hyperparameters.learning_rate, weight_decay=WEIGHT_DECAY, clipnorm=CLIP_NORM
        )
        self.optimizer.build(self.model.trainable_variables)
        self.average = [tf.Variable(variable.numpy()) for variable in self.model.trainable_variables]
        self._compiled = tf.function(self._step, jit_compile=True)

    def step(self, batch: Batch, rng: np.random.Generator) -> Any:
        """Take one gradient step; returns the mean loss (nats) over the batch's wanted rows, as a tensor."""
        rows = self.rows
        masks = network.dropout_masks(rng, len(batch.rows), self.mask_widths, self.dropout)
        return self._compiled(
            tf.constant(rows.visit[batch.rows - 1]),
            tf.constant(rows.target[batch.rows]),
            tf.constant(rows.log_prior[batch.rows]),
            tf.constant(rows.first_hour[batch.rows].astype(np.int32)),
            tf.constant(rows.hourly_visits[batch.rows]),
            tf.constant(batch.wanted.astype(np.float32)),
            [tf.constant(mask) for mask in masks],
        )

    def _step(
        self, visit: Any, target: Any, log_prior: Any, first_hour: Any, hourly_visits: Any, wanted: Any, masks: Any
    ) -> Any:
        variables = self.model.trainable_variables
        flags = tf.cast(tf.bitwise.right_shift(hourly_visits[..., None], tf.range(HOURS)) & 1, tf.float32)
        with tf.GradientTape() as tape:
            first, visited = self.model([visit, target, log_prior, *masks])
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(first_hour, first)
            loss += tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(flags, visited), axis=-1)
            loss = tf.reduce_sum(loss * wanted) / tf.reduce_sum(wanted)
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for average, variable in zip(self.average, variables, strict=True):
            average.assign(AVERAGE_MOMENTUM * average + (1 - AVERAGE_MOMENTUM) * variable)
        return loss

    def averaged_weights(self) -> inference.Weights:
        """Return the moving average of the weights, by name."""
        return dict(zip(network.weight_names(self.model), (value.numpy() for value in self.average), strict=True))

    @property
    def learning_rate(self) -> float:
        """Rate of the next step."""
        return float(self.optimizer.learning_rate.numpy())

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self.optimizer.learning_rate.assign(rate)

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables, *self.average]

    def state(self) -> list[NDArray[Any]]:
        """Everything that the next step depends on: weights, optimizer, moving average."""
        return [variable.numpy() for variable in self._variables()]

    def restore(self, state: list[NDArray[Any]]) -> None:
        """Put back what :meth:`state` gave."""
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)


def fit(
    rows: Rows,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    hyperparameters: Hyperparameters,
    checkpoints: Path,
) -> Fit:
    """Fit the network until the validation log loss stops falling.

    Parameters
    ----------
    rows : Rows
        Visit days.
    train, validation : int64 arrays
        Row numbers.
    hyperparameters : Hyperparameters
        Settings.
    checkpoints : Path
        Folder of checkpoints; training resumes from the latest that fits these settings and rows.
    """
    keras.utils.set_random_seed(hyperparameters.seed)
    trainer = Trainer(rows, hyperparameters)
    best: inference.Weights = trainer.averaged_weights()
    epochs: list[Epoch] = []
    fingerprint = checkpoint.fingerprint(hyperparameters, rows, train, validation)
    saved = checkpoint.load(checkpoints, fingerprint)
    if saved is not None:
        trainer.restore(saved.state)
        best, epochs = saved.best, [Epoch(**epoch) for epoch in saved.epochs]
        print(f"resumed after epoch {len(epochs)} from {checkpoints}", flush=True)

    wanted = np.zeros(len(rows.first_hour), dtype=bool)
    wanted[train] = True
    pieces = cut(rows.offsets, wanted)
    step_seconds, started = 0.0, time.monotonic()
    while not finished(epochs, hyperparameters, time.monotonic() - started):
        epoch_started = time.monotonic()
        number = len(epochs) + 1
        # The order depends on the epoch's number alone, so a resumed run repeats what an unbroken one does.
        rng = np.random.default_rng((hyperparameters.seed, number))
        plan = list(batches(pieces, wanted, hyperparameters.batch_size, rng))
        losses = []
        for place, batch in enumerate(plan):
            steps = (number - 1) * len(plan) + place
            trainer.learning_rate = hyperparameters.learning_rate * rate_factor(
                steps, hyperparameters.epochs * len(plan)
            )
            losses.append(trainer.step(batch, rng))
        train_loss = float(np.mean([float(loss) for loss in losses]))
        step_seconds += time.monotonic() - epoch_started
        weights = trainer.averaged_weights()
        first_hour, _ = inference.logits(weights, rows, validation)
        loss = float(log_losses(inference.softmax(first_hour), rows.first_hour[validation]).mean())
        if loss <= min((epoch.validation_log_loss for epoch in epochs), default=np.inf):
            best = weights
        epochs.append(Epoch(number, train_loss, loss, trainer.learning_rate, time.monotonic() - epoch_started))
        _report(epochs[-1], hyperparameters.epochs)
        checkpoint.save(
            checkpoints, checkpoint.Checkpoint(fingerprint, trainer.state(), best, [asdict(epoch) for epoch in epochs])
        )
    seen = (len(epochs) - (len(saved.epochs) if saved else 0)) * len(train)
    return Fit(best, epochs, seen / step_seconds if step_seconds else 0.0)


def rate_factor(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: a linear warm-up, then half a cosine down to nothing.

    Loshchilov and Hutter 2017, arXiv:1608.03983.
    """
    warm_up = min(1.0, (step + 1) / min(WARM_UP_STEPS, steps))
    return warm_up * 0.5 * (1 + math.cos(math.pi * step / steps))


def finished(epochs: list[Epoch], hyperparameters: Hyperparameters, elapsed: float) -> bool:
    """Tell whether training ends: last epoch, patience used up, or no time for an epoch like the last."""
    if len(epochs) >= hyperparameters.epochs or stale_epochs(epochs) >= hyperparameters.patience:
        return True
    limit = hyperparameters.max_seconds
    return bool(epochs) and limit > 0 and elapsed + epochs[-1].seconds > limit


def stale_epochs(epochs: list[Epoch]) -> int:
    """Count the epochs since the validation log loss last fell by more than ``SMALLEST_GAIN``."""
    best, stale = np.inf, 0
    for epoch in epochs:
        if epoch.validation_log_loss < best - SMALLEST_GAIN:
            best, stale = epoch.validation_log_loss, 0
        else:
            stale += 1
    return stale


def _report(epoch: Epoch, epochs: int) -> None:
    # The template's MetricDefinitions match this line.
    print(
        f"epoch={epoch.epoch}/{epochs} train_loss={epoch.train_loss:.4f} "
        f"validation_log_loss={epoch.validation_log_loss:.4f} seconds={epoch.seconds:.1f}",
        flush=True,
    )
    progress(epoch.epoch / epochs, "fitting the network")
