"""Two numbers that keep the probability of coming right while an app grows or fades.

The probability is fitted once and then used for weeks. What came on the last closed dates gives the log odds of all
users a slope and a shift, by a logistic regression (Cox, Biometrika 1958). A shift alone keeps the total right, but not
the probabilities of users who come often and of those who seldom do. The forecaster does without it; the plan of the
sends uses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

CLOSED_DATES: Final = 28
"""Last dates, all over, that the correction is found from."""
FEWEST_DATES: Final = 7
"""Closed dates below which there is neither a correction nor a scatter: each weekday once."""
_PRIOR_PRECISION: Final = 20.0
"""Precision of the prior of both numbers around those that change nothing: as much as some twenty visitors say."""
_LOWEST: Final = 1e-6
_SMALLEST_STEP: Final = 1e-10
_LARGEST_STEPS: Final = 100


@dataclass(frozen=True, slots=True)
class Correction:
    """What log odds are multiplied by, and what is then added; the defaults change nothing."""

    slope: float = 1.0
    shift: float = 0.0


NO_CORRECTION: Final = Correction()


def solve_correction(probability: NDArray[Any], users: NDArray[Any], visitors: NDArray[Any]) -> Correction:
    """Find the numbers that make probabilities agree with what came, by Newton's method with halved steps.

    Parameters
    ----------
    probability : float array [groups]
        Probability that a user of the group comes.
    users, visitors : float arrays [groups]
        Users of each group, and how many of them came.
    """
    inputs = np.column_stack([_log_odds(probability), np.ones(len(probability))])
    unchanged = np.array([1.0, 0.0])

    def loss(numbers: NDArray[np.float64]) -> float:
        score = inputs @ numbers
        penalty = _PRIOR_PRECISION / 2 * float(((numbers - unchanged) ** 2).sum())
        return float(users @ np.logaddexp(0, score) - visitors @ score) + penalty

    numbers, lowest = unchanged, loss(unchanged)
    for _ in range(_LARGEST_STEPS):
        chance = 1 / (1 + np.exp(-inputs @ numbers))
        gradient = inputs.T @ (visitors - users * chance) - _PRIOR_PRECISION * (numbers - unchanged)
        curvature = (inputs.T * (users * chance * (1 - chance))) @ inputs + _PRIOR_PRECISION * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while (reached := loss(numbers + step)) > lowest and np.abs(step).max() > _SMALLEST_STEP:
            step /= 2
        if np.abs(step).max() <= _SMALLEST_STEP:
            break
        numbers, lowest = numbers + step, reached
    return Correction(*numbers.tolist())


def corrected(probability: NDArray[Any], correction: Correction) -> NDArray[np.float64]:
    """Return corrected probabilities; NaN stays NaN."""
    if correction == NO_CORRECTION:
        return probability.astype(np.float64)
    score = correction.slope * _log_odds(probability) + correction.shift
    return np.asarray(1 / (1 + np.exp(-score)))


def _log_odds(probability: NDArray[Any]) -> NDArray[np.float64]:
    p = probability.astype(np.float64).clip(_LOWEST, 1 - _LOWEST)
    odds: NDArray[np.float64] = np.log(p / (1 - p))
    return odds
