"""Baseline: the share of all users' first visits in each hour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset
from visitcast.data.protocol import Split
from visitcast.data.schema import HOURS


def fit(dataset: Dataset, split: Split) -> NDArray[np.float32]:
    """Count the training rows' first-visit hours, each hour once more, so that none is impossible.

    Returns
    -------
    float32 array [24]
        Shares that sum to 1.
    """
    counts = np.bincount(dataset.first_visit_hour[split.train], minlength=HOURS) + 1.0
    shares: NDArray[np.float32] = (counts / counts.sum()).astype(np.float32)
    return shares


def predict(shares: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the same forecast for every row, [rows, 24]."""
    return np.tile(shares, (len(rows), 1))
