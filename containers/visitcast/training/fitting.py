"""Fits a forecaster to a dataset: a learner, and the steps that turn its scores into a calibrated forecast."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visitcast.contract import progress
from visitcast.data.dataset import Dataset, hour_flags, position_in_history, require_dataset, user_of_row
from visitcast.data.protocol import MINIMUM_HISTORY, Split, require_enough_rows, split
from visitcast.data.schedule import HISTORY_VISIT_DAYS, as_known, hours_known
from visitcast.data.schema import HOURS
from visitcast.data.user_sample import sample_users
from visitcast.features.histograms import histograms_before, last_histograms
from visitcast.features.pipeline import FeaturePipeline
from visitcast.forecasting.probing import with_probe
from visitcast.metrics import Scores, score_probabilities
from visitcast.model import calibration, learners, mixture, visit_probability
from visitcast.model.baselines import tuned_histogram
from visitcast.model.bundle import Blend, Bundle
from visitcast.model.learner import Learner, Scorer, TrainingData
from visitcast.model.logits import any_visit, probabilities

DEFAULT_MAX_TRAINING_USERS: Final = 100_000
"""The largest number measured. It still helped, and takes some ten minutes on two cores: docs/scale.md."""
MOST_BLENDED_ROWS: Final = 30_000
"""Validation rows that mixture and calibration are fitted on; these few numbers need no more."""
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
    """Fit tuned histogram, learner, mixture and calibration. Nothing here reads test rows.

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

    train = rows_of_sample(dataset, parts.train, max_training_users or DEFAULT_MAX_TRAINING_USERS, seed)
    learnt = learner.fit(TrainingData(dataset, train, validation, counts, pipeline.encoding_), checkpoints)

    chosen = some_rows(len(validation), MOST_BLENDED_ROWS, seed)
    actual = validation[chosen]
    complete = _Rows(dataset, actual, counts[chosen], np.full(len(actual), float(HOURS)))
    eve_over, _ = _blend(learnt.scorer, histogram, complete, dataset, actual)
    eve_unfinished, scores = _blend(learnt.scorer, histogram, *_as_scheduled(dataset, actual))
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
    return with_probe(Bundle(learnt.scorer, histogram, eve_over, eve_unfinished, comes, metadata, pipeline))


class _Rows(NamedTuple):
    """Rows to forecast: a dataset, row numbers, and the histograms and the known hours of the eve for each."""

    dataset: Dataset
    rows: NDArray[np.int64]
    histograms: NDArray[np.float32]
    eve_hours: NDArray[np.float64]


def _as_scheduled(dataset: Dataset, rows: NDArray[np.int64]) -> tuple[_Rows, Dataset, NDArray[np.int64]]:
    """Return rows as the schedule sees them, where the scorer forecasts them then, and where their outcomes are."""
    known = as_known(dataset, user_of_row(dataset)[rows], dataset.visit_date[rows])
    last = known.dataset.offsets[1:] - 1
    scorable = np.flatnonzero(position_in_history(known.dataset, last) >= MINIMUM_HISTORY)
    last, histograms = last[scorable], last_histograms(known.dataset)[scorable]
    eve_hours = hours_known(
        known.dataset.visit_date[last] - 1, known.dataset.utc_offset_minutes[last - 1], known.as_of[scorable]
    )
    return _Rows(known.dataset, last, histograms, eve_hours), dataset, rows[known.pairs[scorable]]


def _blend(
    scorer: Scorer,
    histogram: tuned_histogram.Parameters,
    seen: _Rows,
    dataset: Dataset,
    actual: NDArray[np.int64],
) -> tuple[Blend, Scores]:
    """Fit mixture and calibration on rows as they are seen, whose outcomes are `actual`, and score their forecasts."""
    hour, mask = dataset.first_visit_hour[actual], dataset.hourly_visits[actual]
    history = position_in_history(seen.dataset, seen.rows)
    from_histogram = tuned_histogram.probabilities(histogram, dataset.visit_date[actual], seen.histograms)
    scored = probabilities(scorer.logits(*seen))
    weights = mixture.fit(scored.first_hour, from_histogram.first_hour, hour, history)
    mixed = mixture.blend(weights, history, scored, from_histogram)
    fitted = calibration.fit(mixed, hour, hour_flags(mask))
    forecast = calibration.apply(fitted, mixed)
    scores = score_probabilities(forecast.first_hour, hour, mask, best_hour=any_visit(forecast).argmax(axis=1))
    return Blend(weights, fitted), scores


def some_rows(rows: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return the positions of at most `most` of the rows, chosen at random, ascending."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def rows_of_sample(dataset: Dataset, rows: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Return the rows that belong to a sample of at most `most` of their users, in the same order."""
    user = user_of_row(dataset)[rows]
    users = np.unique(user)
    chosen = users[sample_users(dataset.user_ids[users], most, seed)]
    return rows[np.isin(user, chosen)]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that every model's numbers depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
