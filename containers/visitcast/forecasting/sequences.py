"""Users' histories cut into padded batches of row numbers; no row is ever copied.

A sequence is a run of consecutive target days of one user. Step ``j`` of a sequence names the target row
``r``; the network reads the visit of row ``r - 1`` there, so a forecast can depend on earlier days only.
Long histories are cut at fixed positions, each piece preceded by ``CONTEXT`` days that warm the GRU up but
carry no loss. The cuts depend on a row's position in its history alone: training, evaluation and serving
therefore give one row the same context.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONTEXT = 32
"""Days before a piece that warm the state up; more did not help on real visits."""
STRIDE = 96
"""Target days a piece covers."""
LENGTHS = (16, 32, CONTEXT + STRIDE)
"""Padded lengths; few, since every shape costs a compilation."""


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


@dataclass(frozen=True, slots=True)
class Batch:
    """One padded batch.

    Attributes
    ----------
    rows : int32 array [B, T]
        Target row of each step; padding repeats the piece's last row.
    wanted : bool array [B, T]
        Steps whose forecast counts.
    """

    rows: NDArray[np.int32]
    wanted: NDArray[np.bool_]


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


def batches(
    pieces: Pieces,
    wanted: NDArray[np.bool_],
    visit_days: int,
    rng: np.random.Generator | None = None,
) -> Iterator[Batch]:
    """Yield padded batches of about ``visit_days`` steps, each of one of the ``LENGTHS``.

    With ``rng`` the pieces and the batches come in random order and every batch of a length has the same
    number of rows (the last one is filled with pieces that count nothing), so that a compiled step sees few
    shapes. Without it the order is fixed and nothing is filled up.
    """
    plan: list[tuple[int, NDArray[np.int64]]] = []
    shortest = 0
    for length in LENGTHS:
        members = np.flatnonzero((pieces.length > shortest) & (pieces.length <= length))
        shortest = length
        if len(members) == 0:
            continue
        if rng is not None:
            members = rng.permutation(members)
        size = max(1, visit_days // length)
        plan += [(length, members[i : i + size]) for i in range(0, len(members), size)]
    order = range(len(plan)) if rng is None else rng.permutation(len(plan))
    for number in order:
        length, members = plan[number]
        batch = _pad(pieces, members, wanted, length)
        yield batch if rng is None else _fill(batch, max(1, visit_days // length))


def _pad(pieces: Pieces, members: NDArray[np.int64], wanted: NDArray[np.bool_], length: int) -> Batch:
    rows = pieces.start[members, None] + np.arange(length)
    stop = pieces.stop[members, None]
    inside = (rows >= pieces.first_target[members, None]) & (rows < stop)
    rows = np.minimum(rows, stop - 1)
    return Batch(rows=rows.astype(np.int32), wanted=inside & wanted[rows])


def _fill(batch: Batch, size: int) -> Batch:
    missing = size - len(batch.rows)
    if missing == 0:
        return batch
    rows = np.concatenate([batch.rows, np.repeat(batch.rows[:1], missing, axis=0)])
    nothing = np.zeros((missing, batch.wanted.shape[1]), dtype=bool)
    return Batch(rows=rows, wanted=np.concatenate([batch.wanted, nothing]))
