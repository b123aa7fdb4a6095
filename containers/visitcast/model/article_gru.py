"""Baseline ``article_gru``: the article's model, a GRU over the last visit only that regresses the hour (MSE).

It gives one number and no probabilities; its log loss is that of a Gaussian around the number, cut into hours, with
the standard deviation that is best on validation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from visitcast.data.dataset import Dataset
from visitcast.data.protocol import Split
from visitcast.data.schema import HOURS
from visitcast.features.definition import DAY_OF_MONTH, DAY_OF_WEEK, GAP
from visitcast.features.encoding import Features, target_names
from visitcast.metrics import Outcomes, log_losses, point_outcomes, probability_outcomes

UNITS: Final = 64
PATIENCE: Final = 3
BATCH_ROWS: Final = 1024
PREDICT_ROWS: Final = 8192
LEARNING_RATE: Final = 1e-3
SIGMAS: Final = np.arange(3.0, 9.0, 0.25)
FLOOR: Final = 1e-6
"""Added to each hour's share, so that no hour is impossible."""


def outcomes(dataset: Dataset, parts: Split, features: Features, epochs: int, seed: int) -> Outcomes:
    """Fit the article's model and compare its forecasts of the test rows with what came.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    parts : Split
        Training, validation and test rows.
    features : Features
        Of the dataset's rows.
    epochs : int
        Passes over the training rows at most; without progress on validation it ends earlier.
    seed : int
        Seed of weights and order.
    """
    keras.utils.set_random_seed(seed)
    current = features.target[:, article_columns()]

    def inputs(rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        return [features.history[rows - 1][:, None], current[rows]]

    hour = dataset.first_visit_hour
    model = _build(features.history.shape[1], current.shape[1])
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    model.fit(
        inputs(parts.train),
        hour[parts.train].astype(np.float32),
        validation_data=(inputs(parts.validation), hour[parts.validation].astype(np.float32)),
        epochs=epochs,
        batch_size=BATCH_ROWS,
        callbacks=[stop],
        verbose=0,
    )
    validation, test = (
        np.asarray(model.predict(inputs(rows), batch_size=PREDICT_ROWS, verbose=0))[:, 0]
        for rows in (parts.validation, parts.test)
    )
    sigma = _best_sigma(validation, hour[parts.validation])
    test_hour, mask = hour[parts.test], dataset.hourly_visits[parts.test]
    density = probability_outcomes(discretised_gaussian(test, sigma), test_hour, mask)
    return replace(
        point_outcomes(test, test_hour, mask),
        log_loss=density.log_loss,
        confidence=density.confidence,
        likeliest_right=density.likeliest_right,
    )


def article_columns() -> list[int]:
    """Return the columns of the article's current features: day of week, day of month, days since the last visit."""
    wanted = (f"scaled__{DAY_OF_MONTH}", f"log_scaled__{GAP}", f"one_hot__{DAY_OF_WEEK}_")
    return [column for column, name in enumerate(target_names()) if name.startswith(wanted)]


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
