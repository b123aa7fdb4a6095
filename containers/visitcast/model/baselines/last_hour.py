"""Baseline: the hour of the first visit on the user's last visit day; it gives no probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset


def predict(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int8]:
    """Forecast an hour per row, [rows].

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    rows : int64 array [rows]
        Rows to forecast, none of them a user's first.
    """
    hours: NDArray[np.int8] = dataset.first_visit_hour[rows - 1]
    return hours
