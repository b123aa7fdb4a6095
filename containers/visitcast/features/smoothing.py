"""Smooth counts by hour over the neighbouring hours."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.schema import HOURS

_NEGLIGIBLE_WEIGHT: Final = 1e-7
_ROWS_AT_ONCE: Final = 256
"""Their shifted copies fit into a core's second-level cache."""


def circular_kernel(width_hours: float) -> NDArray[np.float32]:
    """Compute Gaussian weights by distance round the clock, [24], which sum to 1; entry d is for hours d apart.

    Parameters
    ----------
    width_hours : float
        Standard deviation, > 0.
    """
    hour = np.arange(HOURS)
    weights = np.exp(-0.5 * (np.minimum(hour, HOURS - hour) / width_hours) ** 2)
    kernel: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return kernel


def smooth(histograms: NDArray[np.float32], width_hours: float) -> NDArray[np.float32]:
    """Spread every count over the neighbouring hours, round the clock.

    Shifted copies are summed instead of a matrix product, whose rounding depends on the number of rows: so a user alone
    gets the same bits as among others.

    Parameters
    ----------
    histograms : float32 array [rows, 24]
        Counts.
    width_hours : float
        Width of :func:`circular_kernel`.
    """
    hours, weights = _shifts(width_hours)
    smoothed = np.empty(histograms.shape, dtype=np.float32)
    for begin in range(0, len(histograms), _ROWS_AT_ONCE):
        block = slice(begin, begin + _ROWS_AT_ONCE)
        # Rows last, so that the innermost loops are long.
        shifted = histograms[block].T.take(hours, axis=0)
        shifted *= weights
        smoothed[block] = np.add.reduce(shifted, axis=0).T
    return smoothed


@lru_cache(maxsize=32)
def _shifts(width_hours: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the hours that each shifted copy takes its counts from, [shifts, 24], and its weight, [shifts, 1, 1]."""
    kernel = circular_kernel(width_hours)
    shifts = np.flatnonzero(kernel > _NEGLIGIBLE_WEIGHT)
    hours, weights = (np.arange(HOURS) - shifts[:, None]) % HOURS, kernel[shifts, None, None]
    for shared in (hours, weights):
        shared.setflags(write=False)
    return hours, weights
