"""Bounds TensorFlow's threads."""

from __future__ import annotations

from contextlib import suppress

import tensorflow as tf

THREADS = 2
"""The batches are too small to keep more threads busy; without a bound TensorFlow starts one per core and pool."""


def bound() -> None:
    """Set the size of TensorFlow's thread pools, unless it has run an operation: after that they cannot change."""
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
