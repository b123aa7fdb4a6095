"""NumPy pass of :class:`training.hour_head.HourHead`: each hour scored from the histograms around it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.schema import HOURS

REACH_FIRST: Final = 2
"""Hours on either side that the first convolution sees."""
REACH_SECOND: Final = 1
ROWS_AT_ONCE: Final = 2048
"""Bounds the memory of the unfolded histograms to some 20 MB."""

Float = NDArray[np.float32]


def hour_scores(weights: dict[str, Float], hidden: Float, blocks: Float) -> tuple[Float, Float]:
    """Score the hours of some rows.

    Parameters
    ----------
    weights : dict
        Arrays of the network.
    hidden : float32 array [rows, units]
        The hidden layer.
    blocks : float32 array [rows, blocks * 24]
        The target features' blocks of one column per hour.

    Returns
    -------
    first_hour, visited : float32 arrays [rows, 24]
        What each hour's surroundings add to the logits.
    """
    context = hidden @ weights["hour_head/context"]
    out = np.empty((len(blocks), HOURS, 2), dtype=np.float32)
    for begin in range(0, len(blocks), ROWS_AT_ONCE):
        part = slice(begin, begin + ROWS_AT_ONCE)
        hours = blocks[part].reshape(-1, blocks.shape[1] // HOURS, HOURS).swapaxes(1, 2)
        near = _circular_convolution(hours, weights["hour_head/around"], REACH_FIRST)
        near += context[part, None] + weights["hour_head/hour_bias"]
        np.maximum(near, 0, out=near)
        again = _circular_convolution(near, weights["hour_head/again"], REACH_SECOND)
        again += weights["hour_head/again_bias"]
        np.maximum(again, 0, out=again)
        out[part] = again @ weights["hour_head/scores"]
    return out[..., 0], out[..., 1]


def _circular_convolution(hours: Float, kernel: Float, reach: int) -> Float:
    """Convolve [rows, 24, channels] with a kernel [2 * reach + 1, channels, filters] round the clock."""
    unfolded = np.concatenate([np.roll(hours, -shift, axis=1) for shift in range(-reach, reach + 1)], axis=2)
    product: Float = unfolded.reshape(-1, unfolded.shape[2]) @ kernel.reshape(-1, kernel.shape[2])
    return product.reshape(len(hours), HOURS, -1)
