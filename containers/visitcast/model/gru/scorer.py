"""The trained network as a scorer: run by ONNX Runtime, without TensorFlow, scikit-learn and pandas."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, days_since_last_visit
from visitcast.data.schema import HOURS
from visitcast.features import encoding
from visitcast.features.encoding import Encoding
from visitcast.model.gru import inference
from visitcast.model.gru.inference import Network
from visitcast.model.logits import Logits

NETWORK_FILE: Final = "network.onnx"
ENCODING_FILE: Final = "encoding.json"


@dataclass(frozen=True)
class GruScorer:
    """A trained network and the numbers of the features that it reads.

    Attributes
    ----------
    network : Network
        Trained network.
    encoding : Encoding
        Fitted numbers of the features.
    """

    network: Network
    encoding: Encoding

    kind: ClassVar[str] = "gru"
    files: ClassVar[tuple[str, ...]] = (NETWORK_FILE, ENCODING_FILE)

    def logits(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        histograms: NDArray[np.float32],
        eve_hours: NDArray[np.float64] | None = None,
    ) -> Logits:
        """Score some rows, see :meth:`visitcast.model.learner.Scorer.logits`."""
        read_visits = encoding.history_reader(self.encoding, dataset)
        target, log_prior = encoding.target_features(self.encoding, dataset, rows, histograms, eve_hours)
        unread = np.zeros(len(rows), dtype=np.bool_)
        if eve_hours is not None:
            unread = (days_since_last_visit(dataset, rows) == 1) & (eve_hours < HOURS)
        return inference.logits(self.network, read_visits, dataset.offsets, rows, target, log_prior, unread)

    def save(self, folder: Path) -> None:
        """Write ``network.onnx`` and ``encoding.json``."""
        (folder / NETWORK_FILE).write_bytes(self.network.model)
        text = json.dumps(encoding.to_json(self.encoding), indent=2, allow_nan=False)
        (folder / ENCODING_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        network = inference.load((folder / NETWORK_FILE).read_bytes())
        return cls(network, encoding.from_json(json.loads((folder / ENCODING_FILE).read_text(encoding="utf-8"))))
