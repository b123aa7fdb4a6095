"""The network run by TensorFlow instead of ONNX Runtime, for comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks import keras_model
from visitcast.model import tensorflow_threads
from visitcast.model.gru import inference
from visitcast.model.gru.inference import Network, ReadVisits
from visitcast.model.logits import Float, Logits

_models: dict[int, Any] = {}


def put_in() -> None:
    """Make this process compute its forecasts with TensorFlow."""
    tensorflow_threads.bound()
    inference.logits = _logits


def _logits(
    network: Network,
    read_visits: ReadVisits,
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    target: Float,
    log_prior: Float,
    unread: NDArray[np.bool_],
) -> Logits:
    if id(network) not in _models:
        model = keras_model.build(network, target.shape[1])
        # The fastest way in TensorFlow: a traced function, without Model.predict.
        _models[id(network)] = tf.function(model, reduce_retracing=True)
    visit, length = keras_model.windows(read_visits, offsets, rows)
    read = np.maximum(length - unread[:, None], 1)
    first_hour, later_visit = _models[id(network)]([visit, read, target, log_prior])
    return Logits(np.asarray(first_hour), np.asarray(later_visit))
