"""Temperature scaling: one number, fitted on validation, that makes stated chances match observed frequencies.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.metrics import log_losses
from visitcast.model.logits import Float, Logits, sigmoid, softmax

LOWEST, HIGHEST = 0.5, 3.0


@dataclass(frozen=True, slots=True)
class Temperatures:
    """The numbers that a scorer's logits are divided by.

    Attributes
    ----------
    first_hour, later_visit : float
        One for each kind of logits.
    """

    first_hour: float
    later_visit: float


def fit(logits: Logits, first_hour: NDArray[Any], flags: NDArray[np.float32]) -> Temperatures:
    """Find the temperatures that suit validation rows best.

    Parameters
    ----------
    logits : Logits
        A scorer's.
    first_hour : int array [rows]
        Hour of the first visit.
    flags : float32 array [rows, 24]
        1.0 where the user visited in that hour.
    """
    return Temperatures(
        first_hour_temperature(logits.first_hour, first_hour),
        later_visit_temperature(logits.later_visit, first_hour, flags),
    )


def probabilities(logits: Logits, temperatures: Temperatures) -> tuple[Float, Float]:
    """Return the calibrated probabilities of the first-visit hour and of later visits, [rows, 24] each."""
    return (
        softmax(logits.first_hour / np.float32(temperatures.first_hour)),
        sigmoid(logits.later_visit / np.float32(temperatures.later_visit)),
    )


def first_hour_temperature(logits: NDArray[np.float32], first_hour: NDArray[Any]) -> float:
    """Find the temperature with the lowest log loss of ``softmax(logits / temperature)``.

    Parameters
    ----------
    logits : float32 array [rows, 24]
        Logits of the first-visit hour.
    first_hour : int array [rows]
        Actual hour.
    """
    hour = first_hour.astype(np.int64)
    return _lowest(lambda temperature: float(log_losses(softmax(logits / temperature), hour).mean()))


def later_visit_temperature(logits: NDArray[np.float32], first_hour: NDArray[Any], flags: NDArray[np.float32]) -> float:
    """Find the temperature with the lowest binary cross-entropy of ``sigmoid(logits / temperature)``.

    Parameters
    ----------
    logits : float32 array [rows, 24]
        Logits of later visits.
    first_hour : int array [rows]
        Hour of the first visit, which does not count.
    flags : float32 array [rows, 24]
        1.0 where the user visited in that hour.
    """
    counts = np.arange(HOURS) != first_hour.astype(np.int64)[:, None]
    signed = np.where(flags > 0, logits, -logits)[counts]
    return _lowest(lambda temperature: float(np.logaddexp(0, -signed / temperature).mean()))


def _lowest(loss: Callable[[np.float32], float]) -> float:
    from scipy.optimize import minimize_scalar  # The serving image does not have it.

    found = minimize_scalar(lambda value: loss(np.float32(value)), bounds=(LOWEST, HIGHEST), method="bounded")
    return float(found.x)
