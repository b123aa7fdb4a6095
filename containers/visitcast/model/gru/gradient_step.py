"""One step of gradient descent, and everything that the next one depends on."""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.model.gru import network
from visitcast.model.gru.feed import batch_signature
from visitcast.model.gru.group import Group
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.network import Weights

AVERAGE_MOMENTUM: Final = 0.99
"""Of the moving average of the weights, which forecasts better than the last weights at no cost."""
WEIGHT_DECAY: Final = 1e-4
CLIP_NORM: Final = 1.0
VISITED_WEIGHT: Final = 4.0
"""Of the visited hours' loss (mean of the 24 hours) beside the first hour's."""


class GradientStep:
    """Network, optimizer and the moving average of the weights.

    The gradient is compiled apart from the update, so that several instances can add up their gradients in between.

    Parameters
    ----------
    visit_width, target_width : int
        Features of a visit day and of a day to forecast.
    hyperparameters : Hyperparameters
        Settings.
    group : Group
        Instances that train together.
    """

    def __init__(self, visit_width: int, target_width: int, hyperparameters: Hyperparameters, group: Group) -> None:
        self.group = group
        self.model = network.build(visit_width, target_width, hyperparameters.units)
        self.optimizer = keras.optimizers.AdamW(
            hyperparameters.learning_rate, weight_decay=WEIGHT_DECAY, clipnorm=CLIP_NORM
        )
        self.optimizer.build(self.model.trainable_variables)
        self.average = [tf.Variable(variable.numpy()) for variable in self.model.trainable_variables]
        # Not by XLA, which on a CPU is slower at the hour head's convolutions; it compiles the GRU's loop.
        signature = batch_signature(visit_width, target_width, hyperparameters)
        self._compiled_gradient = tf.function(self._gradient, input_signature=[signature])
        self._compiled_update = tf.function(self._update, jit_compile=True)

    def take(self, batch: dict[str, Any], learning_rate: float) -> float:
        """Take one step with a batch of :func:`.feed.feed` and return the mean loss (nats) of its wanted rows."""
        self.optimizer.learning_rate.assign(learning_rate)
        sums = self.sums(batch)
        if self.group.size > 1:
            sums = tf.constant(self.group.sum(sums.numpy()))
        return float(self._compiled_update(sums))

    def sums(self, batch: dict[str, Any]) -> Any:
        """Give sums over a batch's wanted rows as one float32 vector: gradient, loss, rows."""
        if len(batch["wanted"]) == 0:  # oneDNN's convolution of no rows has the shape of its input
            return tf.zeros(sum(int(np.prod(variable.shape)) for variable in self.model.trainable_variables) + 2)
        return self._compiled_gradient(batch)

    def _gradient(self, batch: dict[str, Any]) -> Any:
        variables = self.model.trainable_variables
        flags = tf.cast(tf.bitwise.right_shift(batch["hourly_visits"][..., None], tf.range(HOURS)) & 1, tf.float32)
        inputs = [batch[name] for name in ("visit", "fresh", "wanted", "lane", "target", "log_prior")]
        with tf.GradientTape() as tape:
            first, visited = self.model([*inputs, *batch["masks"]])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["first_hour"], first)
            losses += VISITED_WEIGHT * tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(flags, visited), axis=-1)
            loss = tf.reduce_sum(losses)
        gradient = [tf.reshape(part, (-1,)) for part in tape.gradient(loss, variables)]
        return tf.concat([*gradient, [loss, tf.cast(tf.size(losses), tf.float32)]], axis=0)

    def _update(self, sums: Any) -> Any:
        variables = self.model.trainable_variables
        rows = tf.maximum(sums[-1], 1.0)
        parts = tf.split(sums[:-2] / rows, [int(np.prod(variable.shape)) for variable in variables])
        gradient = [tf.reshape(part, variable.shape) for part, variable in zip(parts, variables, strict=True)]
        self.optimizer.apply_gradients(zip(gradient, variables, strict=True))
        for average, variable in zip(self.average, variables, strict=True):
            average.assign(AVERAGE_MOMENTUM * average + (1 - AVERAGE_MOMENTUM) * variable)
        return sums[-2] / rows

    def averaged_weights(self) -> Weights:
        """Return the moving average of the weights, by name."""
        return dict(zip(network.weight_names(self.model), (value.numpy() for value in self.average), strict=True))

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables, *self.average]

    def state(self) -> list[NDArray[Any]]:
        """Everything that the next step depends on: weights, optimizer, moving average."""
        return [np.asarray(variable.numpy()) for variable in self._variables()]

    def restore(self, state: list[NDArray[Any]]) -> None:
        """Put back what :meth:`state` gave."""
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)
