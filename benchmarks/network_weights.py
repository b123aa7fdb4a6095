"""Read Keras' arrays out of a bundle's network."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from visitcast.model.gru.inference import Network


def weights_of(network: Network) -> dict[str, NDArray[np.float32]]:
    """Return the arrays by ``layer/variable``, as they were given to :func:`visitcast.model.gru.onnx_graph.to_onnx`."""
    constants = onnx.load_model_from_string(network.model).graph.initializer
    return {array.name: onnx.numpy_helper.to_array(array) for array in constants if "/" in array.name}
