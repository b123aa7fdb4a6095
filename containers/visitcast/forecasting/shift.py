"""One number that keeps the probability of coming right while an app grows or fades.

The probability is fitted once and then used for weeks. A shift of the log odds of all users makes the visitors expected
of the last closed dates as many as came. The forecaster does without it; the plan of the sends uses it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

CLOSED_DATES: Final = 28
"""Last dates, all over, that the shift is found from."""
FEWEST_DATES: Final = 7
"""Closed dates below which there is neither a shift nor a scatter: each weekday once."""
_PRIOR_VISITORS: Final = 20
"""Visitors by which a small number of them is drawn towards no shift."""
_LARGEST_SHIFT: Final = 5.0


def solve_shift(probability: NDArray[Any], users: NDArray[Any], visitors: float) -> float:
    """Find the shift of the log odds with which so many visitors are expected as came.

    Parameters
    ----------
    probability : float array [groups]
        Probability that a user of the group comes.
    users : float array [groups]
        Users of each group.
    visitors : float
        How many came of all.
    """
    from scipy.optimize import brentq  # The serving image does not have it.

    expected = float((users * probability).sum())
    wanted = expected * (visitors + _PRIOR_VISITORS) / (expected + _PRIOR_VISITORS)

    def excess(shift: float) -> float:
        return float((users * shifted(probability, shift)).sum()) - wanted

    if excess(-_LARGEST_SHIFT) >= 0:
        return -_LARGEST_SHIFT
    if excess(_LARGEST_SHIFT) <= 0:
        return _LARGEST_SHIFT
    return float(brentq(excess, -_LARGEST_SHIFT, _LARGEST_SHIFT))


def shifted(probability: NDArray[Any], shift: float | NDArray[Any]) -> NDArray[np.float64]:
    """Return probabilities with the shift added to their log odds; NaN stays NaN."""
    p = probability.astype(np.float64)
    return np.asarray(p * np.exp(shift) / (1 + p * np.expm1(shift)))
