"""What a scorer returns, and how it becomes probabilities.

The chance of a visit in an hour has two parts: the day's first visit falls in that hour, or it falls in another one and
a later visit falls in that hour. Forecasts are made of these parts, so that the chance of any visit in an hour is never
below the chance of the first one.
"""

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
    later_visit : float32 array [rows, 24]
        Of a visit in each hour, given that the day's first visit falls in another hour; :func:`sigmoid` gives the
        probabilities.
    """

    first_hour: Float
    later_visit: Float


class Probabilities(NamedTuple):
    """The same on the scale of probabilities; those of the first visit sum to 1."""

    first_hour: Float
    later_visit: Float


def sigmoid(x: Float) -> Float:
    """Logistic function; ``tanh`` does not overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), dtype=np.float32)


def softmax(logits: Float) -> Float:
    """Probabilities over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), dtype=np.float32)


def logit(probabilities: Float) -> Float:
    """Inverse of :func:`sigmoid`; finite for 0 and 1 too."""
    clipped = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), dtype=np.float32)


def probabilities(logits: Logits) -> Probabilities:
    """Turn logits into probabilities."""
    return Probabilities(softmax(logits.first_hour), sigmoid(logits.later_visit))


def any_visit(forecast: Probabilities) -> Float:
    """Return the chance of a visit in each hour, ``first + (1 - first) * later``, never below the first visit's."""
    visited: Float = forecast.first_hour + (1 - forecast.first_hour) * forecast.later_visit
    return visited


def later_visit(first_hour: Float, visited: Float) -> Float:
    """Return the chance of a later visit, from those of the first visit and of any visit [rows, 24]: the inverse.

    It is 0 where the chance of any visit is below that of the first one.
    """
    later: Float = np.maximum(visited - first_hour, 0) / np.maximum(1 - first_hour, np.float32(1e-6))
    return np.minimum(later, np.float32(1))


def first_hour_only(first_hour: Float) -> Logits:
    """Complete the logits [rows, 24] of a learner that forecasts only the first-visit hour.

    Hours that are likely for the first visit are taken to be likely for a later one; calibration sets the level.
    """
    return Logits(first_hour, logit(softmax(first_hour)))
