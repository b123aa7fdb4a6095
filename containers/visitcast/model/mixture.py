"""How much of the forecast comes from the scorer and how much from the tuned histogram.

The weight depends on the length of the user's history, since the scorer's lead does. It is chosen on validation rows,
and the scorer has to earn it: with few rows the histogram keeps most of the weight.

One weight serves the first visit and the later ones. Where the scorer gets none, the hour to send at is the
histogram's; a weight of its own for that hour, chosen by cross-entropy or by hits, found hours that were hit less
often (docs/model.md).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.model.logits import Float, Probabilities

HISTORY_STARTS: Final = (0, 10, 30, 100)
"""First history length (visit days) of each group."""
MINIMUM_ROWS: Final = 500
"""A group with fewer validation rows takes the weight of all rows together."""
STAKE_NATS: Final = 6.0
"""Total log loss that a scorer with full weight must save on the validation rows before it is preferred."""
GRID: Final = np.linspace(0, 1, 41)

Weights = tuple[float, ...]
"""Weight of the scorer for each of ``HISTORY_STARTS``, in 0..1; the histogram has the rest."""


def fit(
    scored: Float,
    histogram: Float,
    first_hour: NDArray[Any],
    history: NDArray[np.int64],
) -> Weights:
    """Choose the weights by the log loss of the first-visit hour on validation rows.

    Parameters
    ----------
    scored, histogram : float32 arrays [rows, 24]
        The two forecasts of the first-visit hour.
    first_hour : int array [rows]
        Hour of the first visit.
    history : int64 array [rows]
        Visit days before the target day.
    """
    row, hour = np.arange(len(first_hour)), first_hour.astype(np.int64)
    of_scorer, of_histogram = scored[row, hour], histogram[row, hour]
    overall = _best_weight(of_scorer, of_histogram)
    group = group_of(history)
    members = [group == number for number in range(len(HISTORY_STARTS))]
    return tuple(
        _best_weight(of_scorer[rows], of_histogram[rows]) if rows.sum() >= MINIMUM_ROWS else overall for rows in members
    )


def group_of(history: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the group of each history length (visit days before the target day), [rows]."""
    return np.searchsorted(HISTORY_STARTS, history, side="right") - 1


def blend(
    weights: Weights, history: NDArray[np.int64], scored: Probabilities, histogram: Probabilities
) -> Probabilities:
    """Mix the two forecasts of each row with its weight."""
    weight = np.asarray(weights, dtype=np.float32)[group_of(history)][:, None]
    return Probabilities(*(weight * one + (1 - weight) * other for one, other in zip(scored, histogram, strict=True)))


def _best_weight(scored: Float, histogram: Float) -> float:
    """Choose from the probabilities [rows] that each forecaster gave to the actual hour."""
    if len(scored) == 0:
        return 0.0
    losses = [
        -np.log(np.maximum(weight * scored + (1 - weight) * histogram, 1e-7)).sum() + STAKE_NATS * weight
        for weight in GRID.astype(np.float32)
    ]
    return float(GRID[int(np.argmin(losses))])
