"""The network: a causal GRU over a user's visit days, and two paths from its state to the hours.

::

    visit of day r-1 --GRU-->  state  --+
                                        +--> Dense(relu) --+--> Dense: first-visit hour, later visits
    calendar and histograms of day r  --+                  |                                   +
                               |                           +--> HourHead: the same per hour, from the
                               +--- blocks of 24 hours --------> histograms around the hour

Both kinds of logits are corrections of the log of the prior, the user's smoothed histogram: an untrained network
forecasts the prior as the hour of the first visit, and few steps of training are enough for later visits.
"""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.features.histogram_features import HOUR_COLUMNS
from visitcast.model.gru.hour_head import HourHead
from visitcast.model.gru.packed_gru import PackedGru

HIDDEN_UNITS: Final = 128

Weights = dict[str, NDArray[np.float32]]
"""Arrays by ``layer/variable``, see :func:`weight_names`."""


def build(visit_width: int, target_width: int, units: int) -> Any:
    """Build the network.

    Dropout masks are inputs, since one mask holds for all steps of a lane (Gal and Ghahramani 2016, arXiv:1512.05287).

    Parameters
    ----------
    visit_width : int
        Features F of a visit day.
    target_width : int
        Features G of the day to forecast; the columns :data:`HOUR_COLUMNS` are blocks of one column per hour.
    units : int
        Width of the GRU's state.

    Returns
    -------
    keras.Model
        The inputs, for T steps of B lanes with W days to forecast:

        =============== ================= ===========================================================
        visit           [T, B, F]         features of the visit before each step's target
        fresh           [T, B, 1]         1 where a sequence begins, else 0
        wanted, lane    [W]               position among the T * B steps of each day to forecast; its lane
        target          [W, G]            features of the day to forecast
        log_prior       [W, 24]           log of the user's smoothed histogram before the day
        three masks     [1, B, width]     dropout masks, see :func:`mask_widths`
        =============== ================= ===========================================================

        The outputs: logits of the first-visit hour and of later visits (:class:`visitcast.model.logits.Logits`), both
        [W, 24].
    """
    layers = keras.layers
    visit = keras.Input((None, visit_width), name="visit")
    fresh = keras.Input((None, 1), name="fresh")
    wanted, lane = keras.Input((), dtype="int32", name="wanted"), keras.Input((), dtype="int32", name="lane")
    target = keras.Input((target_width,), name="target")
    log_prior = keras.Input((HOURS,), name="log_prior")
    masks = [keras.Input((None, width)) for width in mask_widths(visit_width, units)]

    # Steps that only warm the state up end here: most of the work comes after the GRU.
    states = PackedGru(units, name="gru")(visit * masks[0], fresh) * masks[1]
    state = keras.ops.take(keras.ops.reshape(states, (-1, units)), wanted, axis=0)
    joined = layers.Concatenate()([state, target])
    hidden_mask = keras.ops.take(masks[2][0], lane, axis=0)
    hidden = layers.Dense(HIDDEN_UNITS, activation="relu", name="hidden")(joined) * hidden_mask
    scores = HourHead(name="hour_head")(hidden, target[:, HOUR_COLUMNS])
    correction = layers.Dense(HOURS, kernel_initializer="zeros", name="first_hour")(hidden)
    later = layers.Dense(HOURS, name="later_visit")(hidden)
    logits = [correction + log_prior + scores[..., 0], later + log_prior + scores[..., 1]]
    return keras.Model([visit, fresh, wanted, lane, target, log_prior, *masks], logits, name="visit_hours")


def mask_widths(visit_width: int, units: int) -> tuple[int, int, int]:
    """Return the widths of the dropout masks: visit features, state, hidden layer."""
    return visit_width, units, HIDDEN_UNITS


def dropout_masks(seed: Any, lanes: int, widths: tuple[int, ...], dropout: float) -> Any:
    """Draw inverted dropout masks, float32 [1, lanes, width] each: 0, or ``1 / (1 - dropout)``.

    Parameters
    ----------
    seed : int32 tensor [2]
        The same seed gives the same masks.
    lanes : int
        Each lane has its own masks, for all its steps.
    widths : tuple of int
        See :func:`mask_widths`.
    dropout : float
        Share of zeros.
    """
    keep = 1 - dropout
    drawn = tf.random.stateless_uniform((1, lanes, sum(widths)), seed)
    return tf.split(tf.cast(drawn < keep, tf.float32) / keep, widths, axis=2)


def weight_names(model: Any) -> list[str]:
    """Return ``layer/variable`` of each trainable variable, in the model's order."""
    return [f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.trainable_variables]
