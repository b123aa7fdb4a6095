"""The validation rows as the trainer looks at them after every epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset
from visitcast.features import encoding
from visitcast.features.encoding import Encoding
from visitcast.metrics import log_losses
from visitcast.model.gru import inference
from visitcast.model.gru.network import Weights
from visitcast.model.gru.onnx_graph import to_onnx


@dataclass(frozen=True, slots=True)
class Validation:
    """Rows that tell how good weights are.

    Attributes
    ----------
    read_visits : callable
        Gives history features by row, made when they are asked for.
    offsets : int64 array [U + 1]
        First row of each user, then N.
    rows : int64 array [V]
        Validation rows.
    target, log_prior : float32 arrays [V, G], [V, 24]
        What is known before the day.
    first_hour : int8 array [V]
        What came.
    """

    read_visits: inference.ReadVisits
    offsets: NDArray[np.int64]
    rows: NDArray[np.int64]
    target: NDArray[np.float32]
    log_prior: NDArray[np.float32]
    first_hour: NDArray[np.int8]

    def logits(self, network: inference.Network) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits of the first-visit hour and of the visited hours, float32 [V, 24] each."""
        return inference.logits(network, self.read_visits, self.offsets, self.rows, self.target, self.log_prior)

    def log_loss(self, weights: Weights) -> float:
        """Mean log loss of the first-visit hour, nats."""
        first_hour, _ = self.logits(inference.load(to_onnx(weights)))
        return float(log_losses(inference.softmax(first_hour), self.first_hour).mean())


def validation_of(
    fitted: Encoding, dataset: Dataset, rows: NDArray[np.int64], histograms: NDArray[np.float32]
) -> Validation:
    """Make the features of validation rows.

    Parameters
    ----------
    fitted : Encoding
        Fitted numbers of the features.
    dataset : Dataset
        Visit days.
    rows : int64 array [V]
        Validation rows.
    histograms : float32 array [V, len(Channel), 24]
        Decayed histograms before each of them.
    """
    return Validation(
        encoding.history_reader(fitted, dataset),
        dataset.offsets,
        rows,
        *encoding.target_features(fitted, dataset, rows, histograms),
        dataset.first_visit_hour[rows],
    )
