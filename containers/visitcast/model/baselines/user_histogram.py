"""Baseline: the user's own first-visit hours so far, mixed with everyone's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset
from visitcast.data.protocol import Split
from visitcast.features.histograms import Channel, shares
from visitcast.metrics import log_losses
from visitcast.model.baselines import global_histogram

PRIOR_WEIGHTS: Final = (2, 4, 8, 16, 24, 32, 48, 64, 96)


@dataclass(frozen=True)
class Parameters:
    """Shares of the hours over all users [24], and how many visit days they are worth in a user's forecast."""

    prior: NDArray[np.float32]
    prior_weight: float


def fit(dataset: Dataset, split: Split, histograms: NDArray[np.float32]) -> Parameters:
    """Take the prior from the training rows and choose its weight by log loss on the validation rows."""
    prior = global_histogram.fit(dataset, split)
    hours = dataset.first_visit_hour[split.validation]
    candidates = [Parameters(prior, weight) for weight in PRIOR_WEIGHTS]
    return min(candidates, key=lambda one: log_losses(predict(one, histograms[split.validation]), hours).mean())


def predict(parameters: Parameters, histograms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Forecast the rows whose histograms are given.

    Parameters
    ----------
    parameters : Parameters
        What :func:`fit` returned.
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms before each row's day.

    Returns
    -------
    float32 array [rows, 24]
        Probabilities of the first-visit hour.
    """
    return shares(histograms[:, Channel.FIRST_ALL], parameters.prior, parameters.prior_weight)
