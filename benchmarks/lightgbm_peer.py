"""LightGBM as a learner: boosted trees on hand-made features, among them the decayed histograms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, days_since_last_visit, position_in_history
from visitcast.data.schema import HOURS, PAGE_VIEWS_BY_TYPE
from visitcast.features import encoding
from visitcast.features.encoding import Encoding
from visitcast.features.histograms import histograms_before
from visitcast.model.learner import Learnt, TrainingData
from visitcast.model.logits import Logits, first_hour_only

LAGS: Final = 5
ROUNDS: Final = 150
PATIENCE: Final = 15
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "multiclass",
    "num_class": HOURS,
    "learning_rate": 0.06,
    "num_leaves": 12,
    "min_data_in_leaf": 150,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 10,
    "max_bin": 63,
    "seed": 7,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}


MODEL_FILE: Final = "lightgbm.txt"
ENCODING_FILE: Final = "lightgbm_encoding.json"


@dataclass(frozen=True)
class LightGbmScorer:
    """Boosted trees that correct the log prior, as the network does; they forecast only the first-visit hour.

    Attributes
    ----------
    booster : lightgbm.Booster
        Trees.
    encoding : Encoding
        Fitted numbers of the features.
    """

    booster: Any
    encoding: Encoding

    kind: ClassVar[str] = "lightgbm"
    files: ClassVar[tuple[str, ...]] = (MODEL_FILE, ENCODING_FILE)

    def logits(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        histograms: NDArray[np.float32],
        eve_hours: NDArray[np.float64] | None = None,  # noqa: ARG002 - it learns from complete days alone
    ) -> Logits:
        """Score some rows, see :meth:`visitcast.model.learner.Scorer.logits`."""
        table, log_prior = hand_made(self.encoding, dataset, rows, histograms)
        correction = np.asarray(self.booster.predict(table, raw_score=True), dtype=np.float32)
        return first_hour_only(correction + log_prior)

    def save(self, folder: Path) -> None:
        """Write trees and encoding."""
        self.booster.save_model(folder / MODEL_FILE)
        (folder / ENCODING_FILE).write_text(json.dumps(encoding.to_json(self.encoding)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        coding = encoding.from_json(json.loads((folder / ENCODING_FILE).read_text(encoding="utf-8")))
        return cls(lightgbm.Booster(model_file=folder / MODEL_FILE), coding)


@dataclass(frozen=True)
class LightGbmLearner:
    """Fits the trees on the training rows and stops early on the validation rows."""

    threads: int = 2

    def fit(self, data: TrainingData, checkpoints: Path | None = None) -> Learnt:  # noqa: ARG002 - it trains for a minute
        """Fit the trees, see :meth:`visitcast.model.learner.Learner.fit`."""
        coding, dataset = data.encoding, data.dataset

        def labelled(rows: NDArray[np.int64], histograms: NDArray[np.float32]) -> Any:
            table, log_prior = hand_made(coding, dataset, rows, histograms)
            hour = dataset.first_visit_hour[rows].astype(np.int64)
            return lightgbm.Dataset(table, hour, init_score=log_prior.astype(np.float64), free_raw_data=True)

        train = labelled(data.train, histograms_before(dataset, data.train))
        booster = lightgbm.train(
            {**PARAMETERS, "num_threads": self.threads},
            train,
            ROUNDS,
            valid_sets=[labelled(data.validation, data.validation_histograms).set_reference(train)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        return Learnt(LightGbmScorer(booster, coding))


def hand_made(
    coding: Encoding, dataset: Dataset, rows: NDArray[np.int64], histograms: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the network knows before a day, the last visits as columns [rows, columns], and the log prior.

    The log prior [rows, 24] is what the trees correct.
    """
    target, log_prior = encoding.target_features(coding, dataset, rows, histograms)
    position = position_in_history(dataset, rows)

    def lag(values: NDArray[Any], steps: int) -> NDArray[np.float32]:
        return np.where(position >= steps, values[rows - np.minimum(position, steps)], -1).astype(np.float32)

    recent = [lag(dataset.first_visit_hour, steps) for steps in range(1, LAGS + 1)]
    recent += [lag(dataset.last_visit_hour, steps) for steps in (1, 2)]
    recent += [lag(dataset.total_time_spent_s, 1), lag(dataset.total_page_views, 1), lag(dataset.platform, 1)]
    recent += [lag(dataset.columns[name], 1) for name in PAGE_VIEWS_BY_TYPE[:3]]
    gap_before = days_since_last_visit(dataset, rows - 1)
    recent.append(np.where(position >= 2, gap_before, -1).astype(np.float32))
    return np.concatenate([target, np.stack(recent, axis=1)], axis=1), log_prior
