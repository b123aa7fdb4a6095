"""What the network reads: one entry per visit day, never copied into windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visitcast.dataset import Dataset

if TYPE_CHECKING:
    from visitcast.features import Features


@dataclass(frozen=True, slots=True)
class Rows:
    """Flat arrays over the N visit days of U users.

    Attributes
    ----------
    offsets : int64 array [U + 1]
        Rows ``offsets[u]:offsets[u + 1]`` belong to user ``u``, in date order.
    visit : float32 array [N, F]
        Features of the visit day itself; read only for later days.
    target : float32 array [N, G]
        What is known of the day before it begins: its calendar and the histograms of earlier days.
    log_prior : float32 array [N, 24]
        Log of the tuned histogram's forecast of the first-visit hour.
    first_hour : int8 array [N]
        Hour of the first visit.
    hourly_visits : int32 array [N]
        Mask of the visited hours.
    """

    offsets: NDArray[np.int64]
    visit: NDArray[np.float32]
    target: NDArray[np.float32]
    log_prior: NDArray[np.float32]
    first_hour: NDArray[np.int8]
    hourly_visits: NDArray[np.int32]


def assemble(dataset: Dataset, features: Features) -> Rows:
    """Join a dataset's targets with its features."""
    return Rows(
        offsets=dataset.offsets,
        visit=features.history,
        target=features.target,
        log_prior=features.log_prior,
        first_hour=dataset.first_visit_hour,
        hourly_visits=dataset.hourly_visits,
    )
