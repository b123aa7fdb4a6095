"""The protocols between a learner and everything after it.

A learner is fitted on training and validation rows and returns a scorer. The mixture with the tuned histogram, the
calibration, the bundle and the forecaster depend only on these protocols. The GRU is one learner
(:mod:`visitcast.model.gru.learner`); :mod:`visitcast.model.learners` says which one training uses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset
from visitcast.features.encoding import Encoding
from visitcast.model.logits import Logits


@dataclass(frozen=True)
class TrainingData:
    """The data that a learner may use.

    Attributes
    ----------
    dataset : Dataset
        Visit days; a forecast of a row may depend on the user's earlier rows and on the row's date alone.
    train, validation : int64 arrays [rows]
        Rows to learn from and rows to choose by, ascending; every row has earlier rows of the same user.
    validation_histograms : float32 array [V, len(Channel), 24]
        Decayed histograms before each validation row.
    encoding : Encoding
        Features, fitted on days before the validation rows.
    """

    dataset: Dataset
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    validation_histograms: NDArray[np.float32]
    encoding: Encoding


class Scorer(Protocol):
    """A fitted learner.

    Attributes
    ----------
    kind : str
        Name of the kind, which the bundle remembers.
    files : tuple of str
        Names of the files that :meth:`save` writes.
    """

    kind: ClassVar[str]
    files: ClassVar[tuple[str, ...]]

    def logits(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        histograms: NDArray[np.float32],
        eve_hours: NDArray[np.float64] | None = None,
    ) -> Logits:
        """Score some rows of any dataset.

        Parameters
        ----------
        dataset : Dataset
            Visit days.
        rows : int64 array [rows]
            Rows to forecast, ascending, none of them a user's first.
        histograms : float32 array [rows, len(Channel), 24]
            Decayed histograms before each of them.
        eve_hours : float64 array [rows], optional
            Hours of the day before the row's that are known; later visits on it are not among the rows. Default: 24.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the scorer's files into an existing folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        ...


@dataclass(frozen=True)
class Learnt:
    """A scorer, and how it was learnt.

    Attributes
    ----------
    scorer : Scorer
        What was learnt.
    metadata : dict
        For the model's metadata: JSON values, including ``hyperparameters``, ``versions`` of the libraries used and
        ``learning_curve`` (a list of dictionaries, one per epoch or round) where the learner has them.
    """

    scorer: Scorer
    metadata: dict[str, Any] = field(default_factory=dict)


class Learner(Protocol):
    """Learns to forecast the hour of the first visit and the hours of later visits."""

    def fit(self, data: TrainingData, checkpoints: Path | None = None) -> Learnt:
        """Learn from the training rows.

        Parameters
        ----------
        data : TrainingData
            Rows to learn from and rows to choose by.
        checkpoints : Path, optional
            Folder from which an interrupted fit resumes. Default: nothing is kept.
        """
        ...
