"""How much of the forecast comes from the scorer and how much from the tuned histogram.

The weight depends on the length of the user's history, since the scorer's lead does. It is chosen on validation rows,
and the scorer has to earn it: with few rows the histogram keeps most of the weight, so that the served forecast is no
worse than the histogram if there is too little to learn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.model.logits import Float

HISTORY_STARTS: Final = (0, 10, 30, 100)
"""First history length (visit days) of each group."""
MINIMUM_ROWS: Final = 500
"""A group with fewer validation rows takes the weight of all rows together."""
STAKE_NATS: Final = 6.0
"""Total log loss that a scorer with full weight must save on the validation rows before it is preferred."""
GRID: Final = np.linspace(0, 1, 41)


@dataclass(frozen=True, slots=True)
class Mixture:
    """Weight of the scorer per group of history lengths, each in 0..1; the histogram has the rest.

    Attributes
    ----------
    first_hour, later_visit : tuple of float
        One weight per entry of ``HISTORY_STARTS``, for each head.
    """

    first_hour: tuple[float, ...]
    later_visit: tuple[float, ...]


def fit(
    scored: tuple[Float, Float],
    histogram: tuple[Float, Float],
    first_hour: NDArray[Any],
    flags: Float,
    history: NDArray[np.int64],
) -> Mixture:
    """Choose the weights on validation rows.

    Parameters
    ----------
    scored, histogram : pairs of float32 arrays [rows, 24]
        The two forecasts, each of the first-visit hour and of later visits.
    first_hour : int array [rows]
        Hour of the first visit.
    flags : float32 array [rows, 24]
        1.0 where the user visited in that hour.
    history : int64 array [rows]
        Visit days before the target day.
    """
    return Mixture(
        first_hour_weights(scored[0], histogram[0], first_hour, history),
        later_visit_weights(scored[1], histogram[1], first_hour, flags, history),
    )


def group_of(history: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the group of each history length (visit days before the target day), [rows]."""
    return np.searchsorted(HISTORY_STARTS, history, side="right") - 1


def blend(weights: tuple[float, ...], history: NDArray[np.int64], scored: Float, histogram: Float) -> Float:
    """Mix two forecasts [rows, 24] with each row's weight."""
    weight = np.asarray(weights, dtype=np.float32)[group_of(history)][:, None]
    mixed: Float = weight * scored + (1 - weight) * histogram
    return mixed


def first_hour_weights(
    scored: Float,
    histogram: Float,
    first_hour: NDArray[Any],
    history: NDArray[np.int64],
) -> tuple[float, ...]:
    """Choose the weights for the first-visit hour by log loss on validation rows.

    Parameters
    ----------
    scored, histogram : float32 arrays [rows, 24]
        The two forecasts.
    first_hour : int array [rows]
        Hour of the first visit.
    history : int64 array [rows]
        Visit days before the target day.
    """
    row, hour = np.arange(len(first_hour)), first_hour.astype(np.int64)
    return _weights(scored[row, hour][:, None], histogram[row, hour][:, None], history)


def later_visit_weights(
    scored: Float,
    histogram: Float,
    first_hour: NDArray[Any],
    flags: Float,
    history: NDArray[np.int64],
) -> tuple[float, ...]:
    """Choose the weights for later visits by binary cross-entropy on validation rows.

    ``flags`` [rows, 24] is 1.0 where the user visited; the hour of the first visit does not count. The rest as in
    :func:`first_hour_weights`.
    """
    came = flags > 0
    first = np.arange(HOURS) == first_hour.astype(np.int64)[:, None]

    def of_outcome(later: Float) -> Float:
        return np.where(first, np.float32(1), np.where(came, later, 1 - later))

    return _weights(of_outcome(scored), of_outcome(histogram), history)


def _weights(scored: Float, histogram: Float, history: NDArray[np.int64]) -> tuple[float, ...]:
    """Choose from the probabilities [rows, outcomes] that each forecaster gave to the actual outcomes."""
    group = group_of(history)
    overall = _best_weight(scored, histogram)
    members = [group == number for number in range(len(HISTORY_STARTS))]
    return tuple(
        _best_weight(scored[rows], histogram[rows]) if rows.sum() >= MINIMUM_ROWS else overall for rows in members
    )


def _best_weight(scored: Float, histogram: Float) -> float:
    if len(scored) == 0:
        return 0.0
    losses = [
        -np.log(np.maximum(weight * scored + (1 - weight) * histogram, 1e-7)).sum() + STAKE_NATS * weight
        for weight in GRID.astype(np.float32)
    ]
    return float(GRID[int(np.argmin(losses))])
