"""The serving image's server with TensorFlow in the place of its NumPy pass, for comparison.

``python -m benchmarks.tensorflow_server``, with the same environment as ``python -m serving serve``.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from benchmarks import keras_model
from serving import server
from training import tensorflow_threads
from visitcast import contract
from visitcast.forecasting import inference
from visitcast.forecasting.inference import Float, Weights

_models: dict[int, Any] = {}


def main() -> None:
    """Put TensorFlow in and serve."""
    tensorflow_threads.bound()
    inference.states = _windows  # type: ignore[assignment]
    inference.heads = _logits  # type: ignore[assignment]
    server.main()


def _windows(_weights: Weights, *histories: Any) -> keras_model.Windows:
    return keras_model.windows(*histories)


def _logits(weights: Weights, copied: keras_model.Windows, target: Float, log_prior: Float) -> tuple[Float, Float]:
    if id(weights) not in _models:
        model = keras_model.build(weights, target.shape[1])
        # As fast as TensorFlow gets: a traced function, no Model.predict around it.
        _models[id(weights)] = tf.function(model, reduce_retracing=True)
    first_hour, visited = _models[id(weights)]([*copied, target, log_prior])
    return np.asarray(first_hour), np.asarray(visited)


if __name__ == "__main__":
    sys.exit(contract.run(main))
