"""The layer that scores each hour from the histograms around it, with the same weights for all 24 hours."""

from __future__ import annotations

from typing import Any, Final

import keras

from visitcast.data.schema import HOURS

FILTERS: Final = 24
REACH_FIRST: Final = 2
"""Hours on either side that the first convolution reads."""
REACH_SECOND: Final = 1


class HourHead(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Two circular convolutions over the hours of the day.

    How an hour depends on the hours around it is nearly the same for every hour: weights that all hours share learn it
    from 24 times as many examples as a dense layer has. A bias per hour adds what differs from hour to hour, the hidden
    layer what differs from day to day.

    Weights: ``around`` [5, blocks, filters], ``context`` [hidden, filters], ``hour_bias`` [24, filters], ``again``
    [3, filters, filters], ``again_bias`` [filters], ``scores`` [filters, 2], which starts at zero.
    """

    def build(self, hidden_shape: tuple[int, ...], blocks_shape: tuple[int, ...]) -> None:
        """Make the weights for hidden [rows, units] and blocks [rows, blocks * 24]."""
        blocks = blocks_shape[-1] // HOURS
        taps, again = 2 * REACH_FIRST + 1, 2 * REACH_SECOND + 1
        self.around = self.add_weight(name="around", shape=(taps, blocks, FILTERS))
        self.context = self.add_weight(name="context", shape=(hidden_shape[-1], FILTERS))
        self.hour_bias = self.add_weight(name="hour_bias", shape=(HOURS, FILTERS), initializer="zeros")
        self.again = self.add_weight(name="again", shape=(again, FILTERS, FILTERS))
        self.again_bias = self.add_weight(name="again_bias", shape=(FILTERS,), initializer="zeros")
        self.scores = self.add_weight(name="scores", shape=(FILTERS, 2), initializer="zeros")

    def call(self, hidden: Any, blocks: Any) -> Any:
        """Score the hours: float32 [rows, 24, 2], for the first visit and for later ones."""
        ops = keras.ops
        # [rows, 24, blocks]: the hours are the convolution's axis.
        hours = ops.transpose(ops.reshape(blocks, (-1, blocks.shape[-1] // HOURS, HOURS)), (0, 2, 1))
        context = ops.expand_dims(ops.matmul(hidden, self.context), 1)
        near = ops.relu(ops.conv(_round_the_clock(hours, REACH_FIRST), self.around) + context + self.hour_bias)
        again = ops.conv(_round_the_clock(near, REACH_SECOND), self.again)
        return ops.matmul(ops.relu(again + self.again_bias), self.scores)


def _round_the_clock(hours: Any, reach: int) -> Any:
    """Pad circularly: the last hours before the first, the first after the last, [rows, 24 + 2 * reach, channels]."""
    return keras.ops.concatenate([hours[:, -reach:], hours, hours[:, :reach]], axis=1)
