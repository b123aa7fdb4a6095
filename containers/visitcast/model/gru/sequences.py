"""Cut users' histories into pieces of bounded length; no row is copied.

A sequence is a run of consecutive target days of one user. Step ``j`` of a sequence is a target row ``r``; the network
reads the visit of row ``r - 1`` there, so that a forecast depends on earlier days only. Long histories are cut at fixed
positions, and each piece is preceded by ``CONTEXT`` days that warm the GRU up and carry no loss. The cuts depend on a
row's position in its history alone: training, evaluation and serving therefore read the same context for a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONTEXT = 32
"""Days before a piece that warm the state up; more of them did not help on real visits."""
STRIDE = 96
"""Target days of a piece."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of histories, one entry each.

    Attributes
    ----------
    start : int64 array [S]
        Row of the first step (context included).
    first_target : int64 array [S]
        First row that the piece forecasts.
    stop : int64 array [S]
        One past the last wanted row.
    of_row : int64 array [rows]
        The piece that forecasts each wanted row.
    """

    start: NDArray[np.int64]
    first_target: NDArray[np.int64]
    stop: NDArray[np.int64]
    of_row: NDArray[np.int64]

    @property
    def length(self) -> NDArray[np.int64]:
        """Number of steps of each piece, int64 [S]."""
        return self.stop - self.start


def cut(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> Pieces:
    """Cut histories into pieces that hold at least one wanted row.

    Parameters
    ----------
    offsets : int64 array [U + 1]
        Rows ``offsets[u]:offsets[u + 1]`` belong to user ``u``, in date order.
    rows : int64 array [rows]
        Rows to forecast, ascending, none of them a user's first row, which has no earlier visit.
    """
    origin = offsets[offsets.searchsorted(rows, side="right") - 1] + 1
    first_target = rows - (rows - origin) % STRIDE
    begins = np.ones(len(rows), dtype=bool)
    begins[1:] = first_target[1:] != first_target[:-1]
    first = begins.nonzero()[0]
    # Steps after the last wanted row cannot change an earlier forecast.
    last = np.append(first[1:], len(rows))[: len(first)] - 1
    start = np.maximum(origin[first], first_target[first] - CONTEXT)
    return Pieces(start, first_target[first], rows[last] + 1, begins.cumsum() - 1)
