"""Calibration of the mixed forecast: three numbers, fitted on validation, that make stated chances come true.

The first visit's distribution has a temperature (Guo et al., On Calibration of Modern Neural Networks, ICML 2017,
section 4.2). The logits of later visits have a slope and an intercept (Platt, Probabilistic Outputs for Support Vector
Machines, 1999), fitted at the hour to send at: choosing the highest of 24 chances chooses those that are too high, so
numbers that suit all hours do not suit that one.

With few rows the numbers stay near those that change nothing: each has a Gaussian prior around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.metrics import log_losses
from visitcast.model.logits import Float, Probabilities, any_visit, logit, sigmoid

LOG_TEMPERATURE_PRIOR: Final = 0.05
"""Standard deviation of the prior of the temperature's logarithm."""
SLOPE_PRIOR: Final = 0.2
INTERCEPT_PRIOR: Final = 0.5
_LARGEST_LOG_TEMPERATURE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted numbers; the defaults change nothing.

    Attributes
    ----------
    temperature : float
        What the log probabilities of the first-visit hour are divided by.
    slope, intercept : float
        What the logits of later visits are multiplied by, and what is then added.
    """

    temperature: float = 1.0
    slope: float = 1.0
    intercept: float = 0.0


def apply(calibration: Calibration, forecast: Probabilities) -> Probabilities:
    """Calibrate a forecast."""
    return Probabilities(
        _with_temperature(forecast.first_hour, calibration.temperature),
        _with_line(logit(forecast.later_visit), calibration.slope, calibration.intercept),
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
    from scipy.optimize import minimize, minimize_scalar  # The serving image does not have it.

    hour = first_hour.astype(np.int64)

    def first_visit_loss(log_temperature: float) -> float:
        calibrated = _with_temperature(forecast.first_hour, float(np.exp(log_temperature)))
        return float(log_losses(calibrated, hour).sum() + _penalty(log_temperature, LOG_TEMPERATURE_PRIOR))

    bounds = (-_LARGEST_LOG_TEMPERATURE, _LARGEST_LOG_TEMPERATURE)
    temperature = float(np.exp(minimize_scalar(first_visit_loss, bounds=bounds, method="bounded").x))

    first = _with_temperature(forecast.first_hour, temperature)
    row, best = np.arange(len(first)), any_visit(Probabilities(first, forecast.later_visit)).argmax(axis=1)
    first, later, came = first[row, best], logit(forecast.later_visit[row, best]), flags[row, best] > 0

    def loss_at_best_hour(line: NDArray[np.float64]) -> float:
        slope, intercept = line
        chance = any_visit(Probabilities(first, _with_line(later, slope, intercept))).astype(np.float64)
        losses = -np.log(np.clip(np.where(came, chance, 1 - chance), 1e-7, 1))
        return float(losses.sum() + _penalty(slope - 1, SLOPE_PRIOR) + _penalty(intercept, INTERCEPT_PRIOR))

    simplex = [[1.0, 0.0], [1.1, 0.0], [1.0, 0.1]]
    slope, intercept = minimize(
        loss_at_best_hour, simplex[0], method="Nelder-Mead", options={"initial_simplex": simplex}
    ).x
    return Calibration(temperature, float(slope), float(intercept))


def _with_temperature(first_hour: Float, temperature: float) -> Float:
    powers = first_hour ** np.float32(1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def _with_line(logits: Float, slope: float, intercept: float) -> Float:
    return sigmoid(np.float32(slope) * logits + np.float32(intercept))


def _penalty(value: float, deviation: float) -> float:
    """Negative log density of a Gaussian, up to a constant."""
    return 0.5 * (value / deviation) ** 2
