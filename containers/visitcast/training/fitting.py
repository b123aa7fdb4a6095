"""Fits a forecaster to a dataset: a learner, and the steps that turn its scores into a calibrated forecast."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.contract import progress
from visitcast.data.dataset import Dataset, hour_flags, position_in_history, require_dataset, user_of_row
from visitcast.data.protocol import Split, require_enough_rows, split
from visitcast.data.user_sample import sample_users
from visitcast.features.histograms import histograms_before
from visitcast.features.pipeline import FeaturePipeline
from visitcast.forecasting.schedule import HISTORY_VISIT_DAYS
from visitcast.metrics import score_probabilities
from visitcast.model import calibration, learners, mixture, visit_probability
from visitcast.model.baselines import tuned_histogram
from visitcast.model.bundle import Bundle
from visitcast.model.learner import Learner, TrainingData
from visitcast.model.logits import any_visit

DEFAULT_MAX_TRAINING_USERS: Final = 100_000
"""The largest number measured. It still helped, and takes some ten minutes on two cores: docs/scale.md."""
LIBRARIES: Final = ("numpy", "scikit-learn")
"""Libraries that features and forecasts depend on, whatever the learner."""


def fit(
    dataset: Dataset,
    parts: Split | None = None,
    *,
    pipeline: FeaturePipeline | None = None,
    learner: Learner | None = None,
    max_training_users: int = 0,
    seed: int = 7,
    checkpoints: Path | None = None,
) -> Bundle:
    """Fit tuned histogram, learner, temperatures and mixture. Nothing here reads test rows.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    parts : Split, optional
        Training and validation rows. Default: the protocol's.
    pipeline : FeaturePipeline, optional
        Features, fitted on days before the validation part. Default: fitted here.
    learner : Learner, optional
        Default: :func:`visitcast.model.learners.make_learner`.
    max_training_users : int
        Users to learn from; if more have training rows, a sample of whole users. 0: ``DEFAULT_MAX_TRAINING_USERS``.
        Validation rows, and the few numbers that features and histogram take from the training rows, are those of all
        users.
    seed : int
        Seed of the sample.
    checkpoints : Path, optional
        Folder from which an interrupted fit resumes. Default: nothing is kept.

    Returns
    -------
    Bundle
        The forecaster. Its metadata: ``hyperparameters``, ``learning_curve`` and the learner's other metadata,
        ``training_users``, ``cut_offs``, ``versions``, ``validation_metrics``, ``visit_probability`` (what the
        probability that a user comes was fitted on), ``seconds``.

    Raises
    ------
    InputError
        There are too few rows to train and judge a model, or `dataset` is something else.
    """
    started = time.monotonic()
    require_dataset(dataset)
    parts = parts or split(dataset)
    require_enough_rows(parts)
    pipeline = pipeline or FeaturePipeline(parts.validation_starts).fit(dataset)
    learner = learner or learners.make_learner()
    validation = parts.validation

    progress(0.0, "tuning the histogram")
    counts = histograms_before(dataset, validation)
    histogram = tuned_histogram.fit(dataset, parts, counts)
    from_histogram = tuned_histogram.probabilities(histogram, dataset.visit_date[validation], counts)

    train = rows_of_sample(dataset, parts.train, max_training_users or DEFAULT_MAX_TRAINING_USERS, seed)
    learnt = learner.fit(TrainingData(dataset, train, validation, counts, pipeline.encoding_), checkpoints)

    hour, flags = dataset.first_visit_hour[validation], hour_flags(dataset.hourly_visits[validation])
    history = position_in_history(dataset, validation)
    logits = learnt.scorer.logits(dataset, validation, counts)
    temperatures = calibration.fit(logits, hour, flags)
    scored = calibration.probabilities(logits, temperatures)
    weights = mixture.fit(scored, from_histogram, hour, flags, history)
    first_hour = mixture.blend(weights.first_hour, history, scored[0], from_histogram[0])
    later = mixture.blend(weights.later_visit, history, scored[1], from_histogram[1])
    visited = any_visit(first_hour, later)
    scores = score_probabilities(first_hour, hour, dataset.hourly_visits[validation], best_hour=visited.argmax(axis=1))
    comes, fit_of_comes = visit_probability.fit(dataset, parts, HISTORY_VISIT_DAYS, seed)
    metadata = {
        **learnt.metadata,
        "visit_probability": fit_of_comes,
        "training_users": len(np.unique(user_of_row(dataset)[train])),
        "cut_offs": {"validation_starts": parts.validation_starts, "test_starts": parts.test_starts},
        "versions": versions() | learnt.metadata.get("versions", {}),
        "validation_metrics": scores,
        "seconds": round(time.monotonic() - started, 1),
    }
    return Bundle(learnt.scorer, histogram, weights, temperatures, comes, metadata, pipeline)


def rows_of_sample(dataset: Dataset, rows: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Return the rows that belong to a sample of at most `most` of their users, in the same order."""
    user = user_of_row(dataset)[rows]
    users = np.unique(user)
    chosen = users[sample_users(dataset.user_ids[users], most, seed)]
    return rows[np.isin(user, chosen)]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that every model's numbers depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
