"""A step of gradient descent, and everything that the next step depends on."""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.model.gru import network
from visitcast.model.gru.feed import batch_signature
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.network import Weights
from visitcast.model.gru.packing import lanes_per_batch

AVERAGE_MOMENTUM: Final = 0.99
"""Decay of the moving average of the weights, which forecasts better than the last weights and costs nothing."""
AVERAGE_WARM_UP_STEPS: Final = 9.0
"""The decay begins with that of an average over few steps, so that the first weights do not count for long."""
WEIGHT_DECAY: Final = 1e-4
CLIP_NORM: Final = 1.0
LATER_VISIT_WEIGHT: Final = 4.0
"""Weight of the later visits' loss (mean of the 24 hours) beside that of the first hour."""


class GradientStep:
    """Network, optimizer and the moving average of the weights.

    Parameters
    ----------
    visit_width, target_width : int
        Features of a visit day and of a day to forecast.
    hyperparameters : Hyperparameters
        Settings.
    """

    def __init__(self, visit_width: int, target_width: int, hyperparameters: Hyperparameters) -> None:
        self.model = network.build(visit_width, target_width, hyperparameters.units)
        self.optimizer = keras.optimizers.AdamW(
            hyperparameters.learning_rate, weight_decay=WEIGHT_DECAY, clipnorm=CLIP_NORM
        )
        self.optimizer.build(self.model.trainable_variables)
        self.average = [tf.Variable(variable.numpy()) for variable in self.model.trainable_variables]
        self._lanes = lanes_per_batch(hyperparameters.batch_size)
        self._mask_widths = network.mask_widths(visit_width, hyperparameters.units)
        self._dropout = hyperparameters.dropout
        # XLA compiles the GRU's loop and the update, which are many small operations, but not the whole step: on a CPU
        # it is slower at the hour head's convolutions.
        signature = batch_signature(visit_width, target_width, hyperparameters)
        self._compiled_step = tf.function(self._step, input_signature=[signature])
        self._compiled_update = tf.function(self._update, jit_compile=True)

    def take(self, batch: dict[str, Any], learning_rate: float) -> float:
        """Take one step with a batch of :func:`.feed.feed` and return the mean loss (nats) of its wanted rows."""
        self.optimizer.learning_rate.assign(learning_rate)
        return float(self._compiled_step(batch))

    def _step(self, batch: dict[str, Any]) -> Any:
        masks = network.dropout_masks(batch["mask_seed"], self._lanes, self._mask_widths, self._dropout)
        inputs = [batch[name] for name in ("visit", "fresh", "wanted", "lane", "target", "log_prior")]
        flags = tf.cast(tf.bitwise.right_shift(batch["hourly_visits"][..., None], tf.range(HOURS)) & 1, tf.float32)
        with tf.GradientTape() as tape:
            first, later = self.model([*inputs, *masks])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["first_hour"], first)
            # The hour of the first visit says nothing about later visits.
            counts = 1 - tf.one_hot(batch["first_hour"], HOURS)
            by_hour = counts * tf.nn.sigmoid_cross_entropy_with_logits(flags, later)
            loss = tf.reduce_mean(losses + LATER_VISIT_WEIGHT * tf.reduce_mean(by_hour, axis=-1))
        self._compiled_update(tape.gradient(loss, self.model.trainable_variables))
        return loss

    def _update(self, gradient: list[Any]) -> None:
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(gradient, variables, strict=True))
        steps = tf.cast(self.optimizer.iterations, tf.float32)
        momentum = tf.minimum(AVERAGE_MOMENTUM, steps / (steps + AVERAGE_WARM_UP_STEPS))
        for average, variable in zip(self.average, variables, strict=True):
            average.assign(momentum * average + (1 - momentum) * variable)

    def averaged_weights(self) -> Weights:
        """Return the moving average of the weights, by name."""
        return dict(zip(network.weight_names(self.model), (value.numpy() for value in self.average), strict=True))

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables, *self.average]

    def state(self) -> list[NDArray[Any]]:
        """Return everything that the next step depends on: weights, optimizer, moving average."""
        return [np.asarray(variable.numpy()) for variable in self._variables()]

    def restore(self, state: list[NDArray[Any]]) -> None:
        """Restore what :meth:`state` returned."""
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)
