"""Users of a simulated experiment, as the sums that a lift is estimated from."""

from __future__ import annotations

from typing import Any

import numpy as np

from functions.measure_lift.estimate import Sums

Array = np.ndarray[Any, Any]


def sums(n: Array, y: Array, x: Array) -> Sums:
    """Sums of users with n sends, y outcomes and prediction x."""
    z = n * x
    totals = (n, y, z, n * n, y * y, n * y, z * z, n * z, y * z)
    return Sums(len(n), *(total.sum().item() for total in totals))


def simulated(rng: np.random.Generator, users: int, rate: float, days: int = 7) -> Sums:
    """Users who differ in how often they come, of whom a prediction knows something."""
    n = rng.integers(1, days + 1, users)
    habit = rng.beta(1.0, 4.0, users)
    return sums(n, rng.binomial(n, np.minimum(habit * rate / 0.2, 1)), np.clip(habit + rng.normal(0, 0.1, users), 0, 1))
