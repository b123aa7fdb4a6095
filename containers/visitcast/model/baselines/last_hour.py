"""Baseline: the hour of the user's last first visit. Nothing to fit, and no probabilities."""

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
        Rows to forecast; none may be a user's first day.
    """
    hours: NDArray[np.int8] = dataset.first_visit_hour[rows - 1]
    return hours
