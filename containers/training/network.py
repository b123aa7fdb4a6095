"""The forecaster's network: a causal GRU over a user's visit days, and two ways from there to the hours.

::

    visit of day r-1 --GRU-->  state  --+
                                        +--> Dense(relu) --+--> Dense: first-visit hour, visited hours
    calendar and histograms of day r  --+                  |                                   +
                               |                           +--> HourHead: the same per hour, from the
                               +--- blocks of 24 hours --------> histograms around the hour

The first-visit logits start at the log of the prior, so that an untrained network forecasts the prior.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.hour_head import HourHead
from training.packed_gru import PackedGru
from visitcast.histogram_features import HOUR_COLUMNS
from visitcast.schema import HOURS

HIDDEN_UNITS = 128


def build(visit_width: int, target_width: int, units: int) -> Any:
    """Build the network.

    Dropout masks are inputs: XLA's random numbers on a CPU took ten times as long as the whole step without them.
    A mask holds for a whole lane (Gal and Ghahramani 2016, arXiv:1512.05287).

    Parameters
    ----------
    visit_width : int
        Features F of a visit day.
    target_width : int
        Features G of the day to forecast; those of :data:`HOUR_COLUMNS` hold blocks of one column per hour.
    units : int
        Width of the GRU's state.

    Returns
    -------
    keras.Model
        Inputs, T steps of B lanes: visit [T, B, F] (of the visit before each target), fresh [T, B, 1] (1 where a
        sequence begins, else 0), target [T, B, G], log_prior [T, B, 24] and the masks [1, B, width] of
        :func:`mask_widths`. Outputs: logits of the first-visit hour and of the visited hours, both [T, B, 24].
    """
    layers = keras.layers
    visit = keras.Input((None, visit_width), name="visit")
    fresh = keras.Input((None, 1), name="fresh")
    target = keras.Input((None, target_width), name="target")
    log_prior = keras.Input((None, HOURS), name="log_prior")
    masks = [keras.Input((None, width)) for width in mask_widths(visit_width, units)]

    state = PackedGru(units, name="gru")(visit * masks[0], fresh)
    joined = layers.Concatenate()([state * masks[1], target])
    hidden = layers.Dense(HIDDEN_UNITS, activation="relu", name="hidden")(joined) * masks[2]
    scores = HourHead(name="hour_head")(hidden, target[..., HOUR_COLUMNS])
    correction = layers.Dense(HOURS, kernel_initializer="zeros", name="first_hour")(hidden)
    visited = layers.Dense(HOURS, name="visited")(hidden)
    logits = [correction + log_prior + scores[..., 0], visited + scores[..., 1]]
    return keras.Model([visit, fresh, target, log_prior, *masks], logits, name="visit_hours")


def mask_widths(visit_width: int, units: int) -> tuple[int, int, int]:
    """Widths of the dropout masks: visit features, state, hidden layer."""
    return visit_width, units, HIDDEN_UNITS


def dropout_masks(
    rng: np.random.Generator, lanes: int, widths: tuple[int, ...], dropout: float
) -> list[NDArray[np.float32]]:
    """Draw inverted dropout masks, float32 [1, lanes, width] each: 0, or ``1 / (1 - dropout)``."""
    keep = 1 - dropout
    return [
        (rng.random((1, lanes, width), dtype=np.float32) < keep).astype(np.float32) / np.float32(keep)
        for width in widths
    ]


def weight_names(model: Any) -> list[str]:
    """``layer/variable`` of each trainable variable, in the model's order; inference uses these names."""
    return [f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.trainable_variables]
