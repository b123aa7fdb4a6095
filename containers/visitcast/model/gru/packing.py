"""Pack pieces of histories into rows of equal length, so that all batches have one shape and little padding.

A row ("lane") of ``LANE`` steps holds one long piece or several short ones; the network's state is reset where a piece
begins. A step is the row number of a visit day: nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visitcast.model.gru.sequences import CONTEXT, STRIDE, Pieces

LANE = CONTEXT + STRIDE
"""Steps of a lane: as many as the longest piece has."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """All L lanes, or those of a batch.

    Attributes
    ----------
    rows : int32 array [L, LANE]
        Target row of each step; 1 where the lane is padded.
    wanted : bool array [L, LANE]
        Whether the loss counts the step's forecast.
    fresh : bool array [L, LANE]
        Whether a piece begins at the step.
    """

    rows: NDArray[np.int32]
    wanted: NDArray[np.bool_]
    fresh: NDArray[np.bool_]


def pack(pieces: Pieces, wanted: NDArray[np.bool_]) -> Lanes:
    """Pack the pieces, longest first, each into the fullest lane that still has room for it (best fit decreasing).

    Parameters
    ----------
    pieces : Pieces
        From :func:`visitcast.model.gru.sequences.cut`.
    wanted : bool array [N]
        Whether the loss counts the row's forecast.
    """
    lane_of, start_of, lanes = _best_fit_decreasing(pieces.length)
    rows = np.ones((lanes, LANE), dtype=np.int32)
    counts = np.zeros((lanes, LANE), dtype=np.bool_)
    fresh = np.zeros((lanes, LANE), dtype=np.bool_)
    fresh[lane_of, start_of] = True

    piece = np.repeat(np.arange(len(pieces.start)), pieces.length)
    step = np.arange(len(piece)) - np.repeat(np.cumsum(pieces.length) - pieces.length, pieces.length)
    row = pieces.start[piece] + step
    at = (lane_of[piece], start_of[piece] + step)
    rows[at] = row
    counts[at] = wanted[row] & (row >= pieces.first_target[piece])
    return Lanes(rows, counts, fresh)


def _best_fit_decreasing(length: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the lane and the first step of each piece, and the number of lanes."""
    lane_of, start_of = np.zeros(len(length), dtype=np.int64), np.zeros(len(length), dtype=np.int64)
    with_room: list[list[int]] = [[] for _ in range(LANE + 1)]  # lanes by the number of free steps
    lanes = 0
    for piece in np.argsort(-length, kind="stable").tolist():
        steps = int(length[piece])
        room = next((free for free in range(steps, LANE + 1) if with_room[free]), None)
        if room is None:
            lane, room = lanes, LANE
            lanes += 1
        else:
            lane = with_room[room].pop()
        lane_of[piece], start_of[piece] = lane, LANE - room
        with_room[room - steps].append(lane)
    return lane_of, start_of, lanes


def batches(lanes: Lanes, visit_days: int, rng: np.random.Generator) -> Iterator[Lanes]:
    """Yield all lanes in random order, ``visit_days // LANE`` at a time; the last batch is padded with masked lanes.

    All batches have one shape, so that a step is compiled once.
    """
    size = lanes_per_batch(visit_days)
    order = rng.permutation(len(lanes.rows))
    for begin in range(0, len(order), size):
        members = order[begin : begin + size]
        filled = np.resize(members, size)
        counts = lanes.wanted[filled]
        counts[len(members) :] = False
        yield Lanes(lanes.rows[filled], counts, lanes.fresh[filled])


def lanes_per_batch(visit_days: int) -> int:
    """Return the number of lanes of a batch of about ``visit_days`` steps."""
    return max(1, visit_days // LANE)
