"""The article's model: a GRU over the last visit only that regresses the hour (MSE).

It forecasts one number and no probabilities; its log loss is that of a Gaussian around the number, cut into hours, with
the standard deviation that is best on validation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from visitcast.data.dataset import Dataset
from visitcast.data.schema import HOURS
from visitcast.features import encoding
from visitcast.features.definition import DAY_OF_MONTH, DAY_OF_WEEK, GAP
from visitcast.features.encoding import Encoding
from visitcast.metrics import Outcomes, log_losses, point_outcomes, probability_outcomes
from visitcast.model import tensorflow_threads
from visitcast.model.learner import Learnt, TrainingData
from visitcast.model.logits import Logits, first_hour_only

UNITS: Final = 64
PATIENCE: Final = 3
BATCH_ROWS: Final = 1024
PREDICT_ROWS: Final = 8192
LEARNING_RATE: Final = 1e-3
SIGMAS: Final = np.arange(3.0, 9.0, 0.25)
FLOOR: Final = 1e-6
"""Added to each hour's share, so that no hour is impossible."""
NETWORK_FILE: Final = "article_gru.keras"
SETTINGS_FILE: Final = "article_gru.json"


@dataclass(frozen=True)
class ArticleScorer:
    """The article's model, fitted.

    Attributes
    ----------
    network : keras.Model
        From the features of the last visit and of the day to forecast to an hour.
    encoding : Encoding
        Fitted numbers of the features.
    sigma : float
        Standard deviation of the Gaussian, hours.
    """

    network: Any
    encoding: Encoding
    sigma: float

    kind: ClassVar[str] = "article_gru"
    files: ClassVar[tuple[str, ...]] = (NETWORK_FILE, SETTINGS_FILE)

    def hours(self, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Regress the hour of the first visit, float32 [rows]."""
        inputs = _inputs(self.encoding, dataset, rows)
        return np.asarray(self.network.predict(inputs, batch_size=PREDICT_ROWS, verbose=0))[:, 0]

    def logits(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        histograms: NDArray[np.float32],  # noqa: ARG002 - it reads the last visit only
        eve_hours: NDArray[np.float64] | None = None,  # noqa: ARG002
    ) -> Logits:
        """Score some rows, see :meth:`visitcast.model.learner.Scorer.logits`."""
        density = discretised_gaussian(self.hours(dataset, rows), self.sigma)
        return first_hour_only(np.log(density).astype(np.float32))

    def save(self, folder: Path) -> None:
        """Write ``article_gru.keras`` and ``article_gru.json``."""
        self.network.save(folder / NETWORK_FILE)
        content = {"sigma": self.sigma, "encoding": encoding.to_json(self.encoding)}
        (folder / SETTINGS_FILE).write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        content = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
        network = keras.models.load_model(folder / NETWORK_FILE)
        return cls(network, encoding.from_json(content["encoding"]), content["sigma"])


@dataclass(frozen=True)
class ArticleLearner:
    """Trains the article's model.

    Attributes
    ----------
    epochs : int
        Maximum number of passes over the training rows; training ends earlier without progress on validation.
    seed : int
        Seed of weights and order.
    """

    epochs: int = 20
    seed: int = 7

    def fit(self, data: TrainingData, checkpoints: Path | None = None) -> Learnt:  # noqa: ARG002 - it trains for seconds
        """Train the model, see :meth:`visitcast.model.learner.Learner.fit`."""
        return Learnt(self.train(data))

    def train(self, data: TrainingData) -> ArticleScorer:
        """Train the model and find the standard deviation."""
        tensorflow_threads.bound()
        keras.utils.set_random_seed(self.seed)
        train, validation = (_inputs(data.encoding, data.dataset, rows) for rows in (data.train, data.validation))
        hour = data.dataset.first_visit_hour.astype(np.float32)
        network = _build(*(block.shape[-1] for block in train))
        network.fit(
            train,
            hour[data.train],
            validation_data=(validation, hour[data.validation]),
            epochs=self.epochs,
            batch_size=BATCH_ROWS,
            callbacks=[keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)],
            verbose=0,
        )
        predicted = ArticleScorer(network, data.encoding, sigma=1.0).hours(data.dataset, data.validation)
        sigma = _best_sigma(predicted, data.dataset.first_visit_hour[data.validation])
        return ArticleScorer(network, data.encoding, sigma)


def outcomes(data: TrainingData, test: NDArray[np.int64], epochs: int, seed: int) -> Outcomes:
    """Train the model and compare its forecasts of test rows with the actual visits: the hour and its density.

    Parameters
    ----------
    data : TrainingData
        Training and validation rows.
    test : int64 array [rows]
        Test rows, ascending.
    epochs, seed : int
        As in :class:`ArticleLearner`.
    """
    scorer = ArticleLearner(epochs, seed).train(data)
    hour, mask = data.dataset.first_visit_hour[test], data.dataset.hourly_visits[test]
    forecast = scorer.hours(data.dataset, test)
    density = probability_outcomes(discretised_gaussian(forecast, scorer.sigma), hour, mask)
    return replace(
        point_outcomes(forecast, hour, mask),
        log_loss=density.log_loss,
        confidence=density.confidence,
        likeliest_right=density.likeliest_right,
    )


def _inputs(coding: Encoding, dataset: Dataset, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """Return the features of the visit before each row [rows, 1, F] and the article's current features of the row."""
    visit = encoding.history_reader(coding, dataset)(rows - 1)[:, None]
    return [visit, encoding.calendar_features(coding, dataset, rows)[:, article_columns()]]


def article_columns() -> list[int]:
    """Return the columns of the article's current features: day of week, day of month, days since the last visit."""
    wanted = (f"scaled__{DAY_OF_MONTH}", f"log_scaled__{GAP}", f"one_hot__{DAY_OF_WEEK}_")
    return [column for column, name in enumerate(encoding.target_names()) if name.startswith(wanted)]


def discretised_gaussian(mean: NDArray[np.float32], sigma: float) -> NDArray[np.float64]:
    """Cut Gaussians around ``mean`` [rows] into hours, float64 [rows, 24]; the tails beyond the day are left out."""
    edges = np.arange(HOURS + 1) - 0.5
    shares = np.diff(ndtr((edges - mean[:, None].astype(np.float64)) / sigma), axis=1) + FLOOR
    probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return probabilities


def _best_sigma(predicted: NDArray[np.float32], first_hour: NDArray[np.int8]) -> float:
    hour = first_hour.astype(np.int64)
    return float(min(SIGMAS, key=lambda sigma: log_losses(discretised_gaussian(predicted, sigma), hour).mean()))


def _build(visit_width: int, current_width: int) -> Any:
    visit = keras.Input((1, visit_width))
    current = keras.Input((current_width,))
    state = keras.layers.GRU(UNITS)(visit)
    hidden = keras.layers.Dense(UNITS, activation="relu")(keras.layers.Concatenate()([state, current]))
    model = keras.Model([visit, current], keras.layers.Dense(1)(hidden))
    model.compile(keras.optimizers.Adam(LEARNING_RATE), "mse")
    return model
