from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visitcast.model.gru.packing import LANE, Lanes, batches, pack
from visitcast.model.gru.sequences import CONTEXT, STRIDE, cut

histories = st.lists(st.integers(0, 300), min_size=1, max_size=8)


def made(lengths: list[int], seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    wanted = np.random.default_rng(seed).random(offsets[-1]) < 0.3
    wanted[offsets[:-1][np.array(lengths) > 0]] = False
    return offsets, wanted


def packed(lengths: list[int], seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_], Lanes]:
    offsets, wanted = made(lengths, seed)
    return offsets, wanted, pack(cut(offsets, np.flatnonzero(wanted)), wanted)


@settings(deadline=None)  # Other work on the machine is no failure.
@given(histories, st.integers(0, 1000), st.integers(1, 5))
def test_every_wanted_row_counts_exactly_once_in_an_epoch(lengths: list[int], seed: int, size: int) -> None:
    _, wanted, lanes = packed(lengths, seed)
    found = list(batches(lanes, size * LANE, np.random.default_rng(seed)))
    rows = np.concatenate([np.empty(0, dtype=np.int64), *(batch.rows[batch.wanted] for batch in found)])
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(wanted))
    assert {batch.rows.shape for batch in found} <= {(size, LANE)}


@settings(deadline=None)
@given(histories, st.integers(0, 1000))
def test_context_depends_on_the_position_alone(lengths: list[int], seed: int) -> None:
    offsets, _, lanes = packed(lengths, seed)
    for lane, step in zip(*np.nonzero(lanes.wanted), strict=True):
        row = lanes.rows[lane, step]
        first = offsets[np.searchsorted(offsets, row, side="right") - 1] + 1
        piece = first + (row - first) // STRIDE * STRIDE
        starts = np.flatnonzero(lanes.fresh[lane, : step + 1])[-1]
        assert lanes.rows[lane, starts] == max(first, piece - CONTEXT)
        np.testing.assert_array_equal(lanes.rows[lane, starts : step + 1], np.arange(lanes.rows[lane, starts], row + 1))


@given(st.lists(st.integers(5, 60), min_size=200, max_size=200))
@settings(deadline=None, max_examples=20)
def test_lanes_are_nearly_full(lengths: list[int]) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    wanted = np.ones(offsets[-1], dtype=bool)
    wanted[offsets[:-1]] = False
    pieces = cut(offsets, np.flatnonzero(wanted))
    assert len(pack(pieces, wanted).rows) <= np.ceil(pieces.length.sum() / LANE * 1.1)


def test_the_order_follows_the_generator() -> None:
    _, _, lanes = packed([40] * 30, seed=0)
    orders = [
        [batch.rows.tolist() for batch in batches(lanes, LANE, np.random.default_rng(seed))] for seed in (1, 1, 2)
    ]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


@pytest.mark.parametrize("wanted_rows", [pytest.param([], id="none"), pytest.param([3], id="one")])
def test_pieces_without_a_wanted_row_are_left_out(wanted_rows: list[int]) -> None:
    pieces = cut(np.array([0, 500]), np.array(wanted_rows, dtype=np.int64))
    assert len(pieces.start) == len(wanted_rows)


@given(histories, st.integers(0, 1000))
def test_each_wanted_row_lies_behind_the_first_target_of_its_piece(lengths: list[int], seed: int) -> None:
    offsets, wanted = made(lengths, seed)
    rows = np.flatnonzero(wanted)
    pieces = cut(offsets, rows)
    assert np.all(pieces.first_target[pieces.of_row] <= rows)
    assert np.all(rows < pieces.stop[pieces.of_row])
    assert np.all(np.bincount(pieces.of_row, minlength=len(pieces.start)) > 0)
