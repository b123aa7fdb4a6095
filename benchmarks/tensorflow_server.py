"""The serving image's server with TensorFlow in the place of ONNX Runtime, for comparison.

``python -m benchmarks.tensorflow_server``, with the same environment as ``python -m serving serve``.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks import keras_model
from serving import server
from training import tensorflow_threads
from visitcast import contract
from visitcast.forecasting import inference
from visitcast.forecasting.inference import Float, Network, ReadVisits

_models: dict[int, Any] = {}


def main() -> None:
    """Put TensorFlow in and serve."""
    tensorflow_threads.bound()
    inference.logits = _logits
    server.main()


def _logits(
    network: Network,
    read_visits: ReadVisits,
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    target: Float,
    log_prior: Float,
) -> tuple[Float, Float]:
    if id(network) not in _models:
        model = keras_model.build(network, target.shape[1])
        # As fast as TensorFlow gets: a traced function, no Model.predict around it.
        _models[id(network)] = tf.function(model, reduce_retracing=True)
    copied = keras_model.windows(read_visits, offsets, rows)
    first_hour, visited = _models[id(network)]([*copied, target, log_prior])
    return np.asarray(first_hour), np.asarray(visited)


if __name__ == "__main__":
    sys.exit(contract.run(main))
