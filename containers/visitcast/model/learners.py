"""Which learner training uses, and which scorers a bundle may hold.

Register another learner here; nothing outside this package names one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.scorer import GruScorer
from visitcast.model.learner import Learner, Scorer

__all__ = ["SCORERS", "Hyperparameters", "make_learner"]

SCORERS: Final[Mapping[str, type[Scorer]]] = {GruScorer.kind: GruScorer}
"""By kind."""


def make_learner(hyperparameters: Hyperparameters | None = None) -> Learner:
    """Return the learner that training uses."""
    from visitcast.model.gru.learner import GruLearner  # The serving image holds no TensorFlow.

    return GruLearner(hyperparameters or Hyperparameters())
