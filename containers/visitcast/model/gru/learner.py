"""The GRU as a learner: training by TensorFlow, a scorer that needs none."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from visitcast.metrics import log_losses
from visitcast.model import tensorflow_threads
from visitcast.model.gru import inference, trainer
from visitcast.model.gru.blocks import TrainingBlocks
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.network import Weights
from visitcast.model.gru.onnx_graph import to_onnx
from visitcast.model.gru.scorer import GruScorer
from visitcast.model.learner import Learnt, TrainingData
from visitcast.model.logits import softmax

LIBRARIES: Final = ("tensorflow", "keras", "onnxruntime")
"""What the weights and the forecasts depend on."""


@dataclass(frozen=True)
class GruLearner:
    """Trains the network of :mod:`visitcast.model.gru.network`.

    Attributes
    ----------
    hyperparameters : Hyperparameters
        Settings.
    """

    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)

    def fit(self, data: TrainingData, checkpoints: Path | None = None) -> Learnt:
        """Train the network, see :meth:`visitcast.model.learner.Learner.fit`."""
        tensorflow_threads.bound()
        first_hour = data.dataset.first_visit_hour[data.validation]

        def scorer(weights: Weights) -> GruScorer:
            return GruScorer(inference.load(to_onnx(weights)), data.encoding)

        def validation_log_loss(weights: Weights) -> float:
            logits = scorer(weights).logits(data.dataset, data.validation, data.validation_histograms)
            return float(log_losses(softmax(logits.first_hour), first_hour).mean())

        blocks = TrainingBlocks(data.dataset, data.train, data.encoding)
        trained = trainer.fit(blocks, validation_log_loss, data.validation, self.hyperparameters, checkpoints)
        metadata = {
            "hyperparameters": asdict(trained.hyperparameters),
            "versions": {name: version(name) for name in LIBRARIES},
            "learning_curve": [asdict(epoch) for epoch in trained.epochs],
            "labelled_visits_per_second": round(trained.labelled_visits_per_second),
        }
        return Learnt(scorer(trained.weights), metadata)
