"""The serving image's server with TensorFlow instead of ONNX Runtime, for comparison.

``python -m benchmarks.tensorflow_server``, with the same environment as ``python -m visitcast serve``. It computes
requests together as the image does; with ``one-at-a-time`` it computes each alone, as TensorFlow Serving does unless
batching is configured: https://github.com/tensorflow/serving/blob/master/tensorflow_serving/batching/README.md
"""

from __future__ import annotations

import os
import sys

from visitcast import contract
from visitcast.serving import batching, server


def main() -> None:
    """Serve with TensorFlow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if sys.argv[1:] == ["one-at-a-time"]:
        batching.LARGEST_BATCH = 1  # type: ignore[misc]  # a constant of the image
    server.main(_prepare_worker)


def _prepare_worker() -> None:
    # TensorFlow starts threads when it is imported, so each worker process imports it itself.
    from benchmarks import tensorflow_pass

    tensorflow_pass.put_in()


if __name__ == "__main__":
    sys.exit(contract.run(main))
