from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visitcast.forecasting.sequences import CONTEXT, LENGTHS, STRIDE, Batch, batches, cut

histories = st.lists(st.integers(0, 300), min_size=1, max_size=8)


def made(lengths: list[int], seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    wanted = np.random.default_rng(seed).random(offsets[-1]) < 0.3
    wanted[offsets[:-1][np.array(lengths) > 0]] = False
    return offsets, wanted


def all_batches(lengths: list[int], seed: int, shuffle: bool) -> tuple[NDArray[np.bool_], list[Batch]]:
    offsets, wanted = made(lengths, seed)
    rng = np.random.default_rng(seed) if shuffle else None
    return wanted, list(batches(cut(offsets, wanted), wanted, 512, rng))


@settings(deadline=None)  # Other work on the machine is no failure.
@given(histories, st.integers(0, 1000), st.booleans())
def test_every_wanted_row_counts_exactly_once(lengths: list[int], seed: int, shuffle: bool) -> None:
    wanted, found = all_batches(lengths, seed, shuffle)
    rows = np.concatenate([np.empty(0, dtype=np.int64), *(batch.rows[batch.wanted] for batch in found)])
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(wanted))


@settings(deadline=None)
@given(histories, st.integers(0, 1000))
def test_context_depends_on_the_position_alone(lengths: list[int], seed: int) -> None:
    offsets, _ = made(lengths, seed)
    _, found = all_batches(lengths, seed, shuffle=False)
    for batch in found:
        for rows, wanted in zip(batch.rows, batch.wanted, strict=True):
            for row in rows[wanted]:
                user = np.searchsorted(offsets, row, side="right") - 1
                first = offsets[user] + 1
                piece = first + (row - first) // STRIDE * STRIDE
                assert rows[0] == max(first, piece - CONTEXT)
                steps = int(np.flatnonzero(rows == row)[0])
                np.testing.assert_array_equal(rows[: steps + 1], np.arange(rows[0], row + 1))


@settings(deadline=None)
@given(histories, st.integers(0, 1000))
def test_shapes_are_few(lengths: list[int], seed: int) -> None:
    _, found = all_batches(lengths, seed, shuffle=True)
    assert {batch.rows.shape for batch in found} <= {(512 // length, length) for length in LENGTHS}


def test_the_order_follows_the_generator() -> None:
    orders = []
    for seed in (1, 1, 2):
        offsets, wanted = made([40] * 30, seed=0)
        found = batches(cut(offsets, wanted), wanted, 128, np.random.default_rng(seed))
        orders.append([batch.rows.tolist() for batch in found])
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


@pytest.mark.parametrize("wanted_rows", [pytest.param([], id="none"), pytest.param([3], id="one")])
def test_pieces_without_a_wanted_row_are_left_out(wanted_rows: list[int]) -> None:
    wanted = np.zeros(500, dtype=bool)
    wanted[wanted_rows] = True
    assert len(cut(np.array([0, 500]), wanted).start) == len(wanted_rows)
