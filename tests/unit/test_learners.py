"""Any learner goes through fit, save, load and forecast; nothing after it knows which one it was."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pytest
from made_visits import made_dataset
from metric_loops import of_points
from numpy.typing import NDArray

from benchmarks.lightgbm_peer import LightGbmLearner, LightGbmScorer
from visitcast.data import schema
from visitcast.data.dataset import Dataset, user_of_row, with_target_days
from visitcast.data.protocol import MINIMUM_HISTORY, split
from visitcast.errors import InputError
from visitcast.forecasting import forecaster
from visitcast.metrics import log_losses, summarise
from visitcast.model import article_gru, bundle, learners
from visitcast.model.article_gru import ArticleLearner, ArticleScorer
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.learner import GruLearner
from visitcast.model.learner import Learner, Learnt, Scorer, TrainingData
from visitcast.model.logits import Logits
from visitcast.training.fitting import fit

DATASET = made_dataset(users=120, mean_days=25, seed=3)
PARTS = split(DATASET)


@dataclass(frozen=True)
class LastHourScorer:
    """Forecasts the hours around the user's last first visit; `shares` [24] by the distance from it, in hours."""

    shares: NDArray[np.float64]

    kind: ClassVar[str] = "last-hour"
    files: ClassVar[tuple[str, ...]] = ("last_hour.json",)

    def logits(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        histograms: NDArray[np.float32],
        eve_hours: NDArray[np.float64] | None = None,
    ) -> Logits:
        distance = (np.arange(24) - dataset.first_visit_hour[rows - 1, None]) % 24
        first_hour = np.log(self.shares[distance]).astype(np.float32)
        return Logits(first_hour, first_hour - np.log1p(-np.exp(first_hour)))

    def save(self, folder: Path) -> None:
        (folder / "last_hour.json").write_text(json.dumps(self.shares.tolist()))

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(np.array(json.loads((folder / "last_hour.json").read_text())))


@dataclass
class LastHourLearner:
    """Counts, on the training rows, how far the first visit is from the last one."""

    data: TrainingData | None = None

    def fit(self, data: TrainingData, checkpoints: Path | None = None) -> Learnt:
        self.data = data
        hours = data.dataset.first_visit_hour.astype(np.int64)
        counts = np.bincount((hours[data.train] - hours[data.train - 1]) % 24, minlength=24) + 1.0
        return Learnt(LastHourScorer(counts / counts.sum()), {"hyperparameters": {"added": 1.0}})


def test_a_bundle_remembers_what_its_learner_says() -> None:
    fitted = fit(DATASET, learner=LastHourLearner())
    assert fitted.metadata["hyperparameters"] == {"added": 1.0}
    assert fitted.metadata["training_users"] > 50
    assert fitted.metadata["validation_metrics"]["log_loss"] < np.log(24)


@pytest.mark.parametrize(
    ("learner", "scorer"),
    [
        pytest.param(LastHourLearner(), LastHourScorer, id="of this test"),
        pytest.param(GruLearner(Hyperparameters(epochs=2, units=8)), None, id="the GRU"),
        pytest.param(ArticleLearner(), ArticleScorer, id="the article's"),
        pytest.param(LightGbmLearner(threads=1), LightGbmScorer, id="LightGBM"),
    ],
)
def test_every_learner_goes_from_fit_to_forecast(tmp_path: Path, learner: Learner, scorer: type[Scorer] | None) -> None:
    known = learners.SCORERS if scorer is None else {scorer.kind: scorer}
    fitted = fit(DATASET, learner=learner)
    bundle.save(tmp_path, fitted)
    loaded = bundle.load(tmp_path, known)

    for rows in (PARTS.test, DATASET.offsets[1:] - 1):  # the latter with users whose history is too short
        before, after = (forecaster.forecast(one, DATASET, rows) for one in (fitted, loaded))
        np.testing.assert_allclose(after.first_visit_hour, before.first_visit_hour, atol=1e-6)
        np.testing.assert_allclose(after.visit_hour, before.visit_hour, atol=1e-6)
        np.testing.assert_allclose(after.first_visit_hour.sum(axis=1), 1, rtol=1e-5)
        assert np.all((after.visit_hour >= 0) & (after.visit_hour <= 1))
    histories = np.diff(DATASET.offsets)
    np.testing.assert_array_equal(after.source == schema.MODEL, histories > MINIMUM_HISTORY)
    hour = DATASET.first_visit_hour[PARTS.test]
    assert log_losses(forecaster.forecast(loaded, DATASET, PARTS.test).first_visit_hour, hour).mean() < np.log(24)

    tomorrow = with_target_days(DATASET, DATASET.visit_date[DATASET.offsets[1:] - 1] + 1)
    at_once = forecaster.forecast_last(loaded, tomorrow).first_visit_hour
    one_by_one = forecaster.forecast(loaded, tomorrow, tomorrow.offsets[1:] - 1).first_visit_hour
    # The histograms differ by rounding; a tree may take another branch for it.
    assert np.abs(at_once - one_by_one).mean() < 1e-4


def test_the_articles_model_has_the_scores_of_its_hours_and_the_log_loss_of_its_gaussian() -> None:
    learner = LastHourLearner()
    fit(DATASET, learner=learner)
    assert learner.data is not None
    found = summarise(article_gru.outcomes(learner.data, PARTS.test, epochs=2, seed=7))
    again = ArticleLearner(epochs=2, seed=7).train(learner.data)
    hours = again.hours(DATASET, PARTS.test).tolist()
    first, visited = DATASET.first_visit_hour[PARTS.test], DATASET.hourly_visits[PARTS.test]
    points = of_points(hours, first, visited)
    assert {name: found[name] for name in points if points[name] is not None} == pytest.approx(
        {name: value for name, value in points.items() if value is not None}, abs=1e-5
    )
    losses = []
    for mean, truth in zip(hours, first.tolist(), strict=True):
        below = [math.erf((hour - 0.5 - mean) / again.sigma / 2**0.5) / 2 for hour in range(25)]
        shares = [high - low + article_gru.FLOOR for low, high in pairwise(below)]
        losses.append(-math.log(shares[truth] / sum(shares)))
    assert found["log_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_a_scorer_with_the_lead_gets_the_weight_and_one_without_it_none() -> None:
    def user_and_date(dataset: Dataset, rows: NDArray[np.int64]) -> list[tuple[str, int]]:
        users = dataset.user_ids[user_of_row(dataset)[rows]]
        return list(zip(users.tolist(), dataset.visit_date[rows].tolist(), strict=True))

    # A scorer never sees the visits of the day to forecast.
    every_row = np.arange(DATASET.visit_days)
    truth = dict(zip(user_and_date(DATASET, every_row), DATASET.first_visit_hour, strict=True))

    class Uninformed(LastHourLearner):
        def fit(self, data: TrainingData, checkpoints: Path | None = None) -> Learnt:
            return Learnt(LastHourScorer(np.full(24, 1 / 24)))

    class Informed(LastHourLearner):
        def fit(self, data: TrainingData, checkpoints: Path | None = None) -> Learnt:
            return Learnt(KnowsTheTruth(np.full(24, 1 / 24)))

    class KnowsTheTruth(LastHourScorer):
        def logits(
            self,
            dataset: Dataset,
            rows: NDArray[np.int64],
            histograms: NDArray[np.float32],
            eve_hours: NDArray[np.float64] | None = None,
        ) -> Logits:
            hour = np.array([truth.get(key, 0) for key in user_and_date(dataset, rows)])  # the probe has other users
            first_hour = np.where(np.arange(24) == hour[:, None], 4, 0).astype(np.float32)
            return Logits(first_hour, first_hour - 2)

    uninformed, informed = fit(DATASET, learner=Uninformed()), fit(DATASET, learner=Informed())
    for name in ("eve_over", "eve_unfinished"):
        assert max(getattr(uninformed, name).mixture) == 0
        assert min(getattr(informed, name).mixture) > 0.9


def test_a_sample_bounds_what_is_learnt_from_and_leaves_what_judges_whole() -> None:
    learner = LastHourLearner()
    fitted = fit(DATASET, PARTS, learner=learner, max_training_users=10)
    data = learner.data
    assert data is not None
    assert fitted.metadata["training_users"] == 10
    assert set(data.train) < set(PARTS.train)
    np.testing.assert_array_equal(data.validation, PARTS.validation)
    fit(DATASET, PARTS, learner=learner)
    np.testing.assert_array_equal(learner.data.train, PARTS.train)  # type: ignore[union-attr]


def test_too_few_visit_days_are_refused_before_anything_is_learnt() -> None:
    learner = LastHourLearner()
    with pytest.raises(InputError, match="too few visit days"):
        fit(made_dataset(users=2, mean_days=10), learner=learner)
    assert learner.data is None


def test_a_scorer_of_an_unknown_kind_is_refused_by_name(tmp_path: Path) -> None:
    bundle.save(tmp_path, fit(DATASET, learner=LastHourLearner()))
    with pytest.raises(InputError, match="unknown kind") as caught:
        bundle.load(tmp_path)
    assert f"'last-hour'; known are {', '.join(learners.SCORERS)}" in caught.value.cause


@pytest.mark.parametrize("name", [bundle.MODEL_FILE, *LastHourScorer.files])
def test_a_file_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    bundle.save(tmp_path, fit(DATASET, learner=LastHourLearner()))
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match="holds no model") as caught:
        bundle.load(tmp_path, {LastHourScorer.kind: LastHourScorer})
    assert name in caught.value.cause
