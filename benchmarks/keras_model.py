"""The served network in Keras, on copied and padded windows, as a server with TensorFlow would run it."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks.network_weights import weights_of
from visitcast.data.dataset import Dataset
from visitcast.data.schema import HOURS
from visitcast.features import encoding
from visitcast.features.histogram_features import HOUR_COLUMNS
from visitcast.features.histograms import last_histograms
from visitcast.model.gru.hour_head import HourHead
from visitcast.model.gru.inference import Network, ReadVisits
from visitcast.model.gru.sequences import cut

PADDED_LENGTHS = (16, 32, 64, 128)
"""Only a few lengths, since TensorFlow traces the model again for every shape."""


class Windows(NamedTuple):
    """Copied histories: visit [B, T, F], padded at the end, and their lengths [B, 1]."""

    visit: NDArray[np.float32]
    length: NDArray[np.int64]


def build(network: Network, target_width: int) -> Any:
    """Build a Keras model with a bundle's weights, from windows, target and log prior to both heads' logits [B, 24]."""
    weights = weights_of(network)
    layers = keras.layers
    visit = keras.Input((None, weights["gru/kernel"].shape[0]))
    length = keras.Input((1,), dtype="int64")
    target, log_prior = keras.Input((target_width,)), keras.Input((HOURS,))
    states = layers.GRU(weights["gru/recurrent_kernel"].shape[0], return_sequences=True, name="gru")(visit)
    state = keras.ops.take_along_axis(states, (length - 1)[:, :, None], axis=1)[:, 0]
    hidden = layers.Dense(weights["hidden/bias"].shape[0], activation="relu", name="hidden")(
        layers.Concatenate()([state, target])
    )
    scores = HourHead(name="hour_head")(hidden, target[:, HOUR_COLUMNS])
    first_hour = layers.Dense(HOURS, name="first_hour")(hidden) + scores[..., 0]
    later_visit = layers.Dense(HOURS, name="later_visit")(hidden) + scores[..., 1]
    model = keras.Model([visit, length, target, log_prior], [first_hour + log_prior, later_visit + log_prior])
    for layer in model.layers:
        for variable in layer.trainable_variables:
            variable.assign(weights[f"{layer.name}/{variable.name}"])
    return model


def windows(read_visits: ReadVisits, offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> Windows:
    """Copy the visits before each row, the user's last one, into windows of one length."""
    pieces = cut(offsets, rows)
    padded = next(length for length in PADDED_LENGTHS if length >= pieces.length.max())
    steps = np.minimum(pieces.start[:, None] + np.arange(padded), pieces.stop[:, None] - 1) - 1
    visit = read_visits(steps.ravel()).reshape(*steps.shape, -1)
    return Windows(visit, pieces.length[:, None])


def inputs(coding: encoding.Encoding, dataset: Dataset) -> list[NDArray[Any]]:
    """Return the model's inputs for the last row of every user."""
    rows = dataset.offsets[1:] - 1
    copied = windows(encoding.history_reader(coding, dataset), dataset.offsets, rows)
    return [*copied, *encoding.target_features(coding, dataset, rows, last_histograms(dataset))]
