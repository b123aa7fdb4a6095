"""Calibration of the mixed forecast: two numbers, fitted on validation, that make stated chances come true.

The first visit's distribution has a temperature (Guo et al., On Calibration of Modern Neural Networks, ICML 2017,
section 4.2). The logits of later visits are shifted so that the chance of the hour to send at is right: the highest of
24 chances is more often too high than too low, so a number that suits all hours does not suit that one.

With few rows the numbers stay near those that change nothing: each has a Gaussian prior around them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.metrics import log_losses
from visitcast.model.logits import Float, Probabilities, any_visit, logit, sigmoid

LOG_TEMPERATURE_PRIOR: Final = 0.05
"""Standard deviation of the prior of the temperature's logarithm."""
SHIFT_PRIOR: Final = 0.5
"""Standard deviation of the prior of the shift."""
LARGEST: Final = 2.0
"""Bound of the temperature's logarithm and of the shift."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted numbers; the defaults change nothing.

    Attributes
    ----------
    temperature : float
        What the log probabilities of the first-visit hour are divided by.
    later_visit_shift : float
        What is added to the logits of later visits.
    """

    temperature: float = 1.0
    later_visit_shift: float = 0.0


def apply(calibration: Calibration, forecast: Probabilities) -> Probabilities:
    """Calibrate a forecast."""
    return Probabilities(
        _with_temperature(forecast.first_hour, calibration.temperature),
        _shifted(forecast.later_visit, calibration.later_visit_shift),
    )


def fit(forecast: Probabilities, first_hour: NDArray[Any], flags: Float) -> Calibration:
    """Find the numbers that suit validation rows best.

    Parameters
    ----------
    forecast : Probabilities
        The mixed forecast of the rows.
    first_hour : int array [rows]
        Hour of the first visit.
    flags : float32 array [rows, 24]
        1.0 where the user visited in that hour.
    """
    hour = first_hour.astype(np.int64)

    def first_visit_loss(log_temperature: float) -> float:
        return float(log_losses(_with_temperature(forecast.first_hour, float(np.exp(log_temperature))), hour).sum())

    temperature = float(np.exp(_lowest(first_visit_loss, LOG_TEMPERATURE_PRIOR)))
    first = _with_temperature(forecast.first_hour, temperature)
    row, best = np.arange(len(first)), any_visit(Probabilities(first, forecast.later_visit)).argmax(axis=1)
    first, later, came = first[row, best], forecast.later_visit[row, best], flags[row, best] > 0

    def loss_at_best_hour(shift: float) -> float:
        chance = any_visit(Probabilities(first, _shifted(later, shift))).astype(np.float64)
        return float(-np.log(np.clip(np.where(came, chance, 1 - chance), 1e-7, 1)).sum())

    return Calibration(temperature, _lowest(loss_at_best_hour, SHIFT_PRIOR))


def _with_temperature(first_hour: Float, temperature: float) -> Float:
    powers = first_hour ** np.float32(1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def _shifted(later_visit: Float, shift: float) -> Float:
    return sigmoid(logit(later_visit) + np.float32(shift))


def _lowest(loss: Callable[[float], float], deviation: float) -> float:
    """Find the number with the lowest loss, which is a negative log likelihood, under a Gaussian prior around 0."""
    from scipy.optimize import minimize_scalar  # The serving image does not have it.

    def with_prior(value: float) -> float:
        return loss(value) + 0.5 * (value / deviation) ** 2

    return float(minimize_scalar(with_prior, bounds=(-LARGEST, LARGEST), method="bounded").x)
