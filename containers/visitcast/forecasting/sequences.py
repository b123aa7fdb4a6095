"""Users' histories cut into pieces of bounded length; no row is ever copied.

A sequence is a run of consecutive target days of one user. Step ``j`` of a sequence names the target row
``r``; the network reads the visit of row ``r - 1`` there, so a forecast can depend on earlier days only.
Long histories are cut at fixed positions, each piece preceded by ``CONTEXT`` days that warm the GRU up but
carry no loss. The cuts depend on a row's position in its history alone: training, evaluation and serving
therefore give one row the same context.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONTEXT = 32
"""Days before a piece that warm the state up; more did not help on real visits."""
STRIDE = 96
"""Target days a piece covers."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of histories, one entry each.

    Attributes
    ----------
    start : int64 array [S]
        Row of the first step (context included).
    first_target : int64 array [S]
        First row that this piece forecasts.
    stop : int64 array [S]
        One past the last row that is wanted.
    """

    start: NDArray[np.int64]
    first_target: NDArray[np.int64]
    stop: NDArray[np.int64]

    @property
    def length(self) -> NDArray[np.int64]:
        """Steps of each piece, int64 [S]."""
        return self.stop - self.start


def cut(offsets: NDArray[np.int64], wanted: NDArray[np.bool_]) -> Pieces:
    """Cut histories into pieces that hold at least one wanted row.

    Parameters
    ----------
    offsets : int64 array [U + 1]
        Rows ``offsets[u]:offsets[u + 1]`` belong to user ``u``, in date order.
    wanted : bool array [N]
        Rows whose forecast counts. The first row of a user has no earlier visit and is never forecast.
    """
    days = np.diff(offsets)
    pieces_of_user = np.maximum(0, -(-(days - 1) // STRIDE))
    user = np.repeat(np.arange(len(days)), pieces_of_user)
    number = np.arange(len(user)) - np.repeat(np.cumsum(pieces_of_user) - pieces_of_user, pieces_of_user)
    origin = offsets[:-1][user] + 1
    first_target = origin + number * STRIDE
    stop = np.minimum(first_target + STRIDE, offsets[1:][user])

    wanted_before = np.concatenate([[0], np.cumsum(wanted)])
    keep = wanted_before[stop] > wanted_before[first_target]
    origin, first_target, stop = origin[keep], first_target[keep], stop[keep]
    # The steps after the last wanted row cannot change an earlier forecast: leave them out.
    wanted_rows = np.flatnonzero(wanted)
    stop = wanted_rows[wanted_before[stop] - 1] + 1
    return Pieces(start=np.maximum(origin, first_target - CONTEXT), first_target=first_target, stop=stop)
