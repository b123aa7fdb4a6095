"""What a scorer returns, and how it becomes probabilities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


class Logits(NamedTuple):
    """Forecasts of some rows on the scale of logits.

    Attributes
    ----------
    first_hour : float32 array [rows, 24]
        Of the hour of the day's first visit; :func:`softmax` gives the probabilities.
    visited : float32 array [rows, 24]
        Of a visit in each hour, given that the user comes that day; :func:`sigmoid` gives the probabilities.
    """

    first_hour: Float
    visited: Float


def sigmoid(x: Float) -> Float:
    """Logistic function; ``tanh`` does not overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), dtype=np.float32)


def softmax(logits: Float) -> Float:
    """Probabilities over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), dtype=np.float32)


def first_hour_only(first_hour: Float) -> Logits:
    """Complete the logits [rows, 24] of a learner that forecasts only the first-visit hour.

    The probability that the first visit falls in an hour is a lower bound of the probability of a visit in it; the
    temperature of the visited hours raises it.
    """
    probability = np.clip(softmax(first_hour), 1e-6, 1 - 1e-6)
    return Logits(first_hour, np.log(probability) - np.log1p(-probability))
