from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_visits import made_dataset

from benchmarks.lightgbm_peer import LightGbmLearner
from visitcast import paths
from visitcast.data.dataset import user_of_row
from visitcast.data.protocol import split
from visitcast.data.schedule import as_known
from visitcast.errors import InputError
from visitcast.evaluation import as_sent
from visitcast.evaluation.evaluate import Evaluation, evaluate, known_rows
from visitcast.evaluation.gate import Limits
from visitcast.evaluation.job import FOLDS_VARIABLE, parse_arguments, read_cross_validation
from visitcast.forecasting.forecaster import forecast_last
from visitcast.model.bundle import Bundle
from visitcast.training.fitting import fit

DATASET = made_dataset(users=80, mean_days=25, seed=11)
PARTS = split(DATASET)


@pytest.fixture
def folds_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path))
    folder = paths.evaluation_folds()
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("folds", [None, "", "0"])
def test_without_folds_the_channel_is_not_read(
    folds: str | None, folds_channel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folds_channel / "output.tar.gz").write_bytes(b"a dummy, since a channel cannot be left out")
    if folds is None:
        monkeypatch.delenv(FOLDS_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(FOLDS_VARIABLE, folds)
    assert read_cross_validation() is None


@pytest.mark.parametrize(
    ("folds", "said"),
    [pytest.param("2", "fold 1, 2 of 2", id="folds missing"), pytest.param("two", "not a number", id="no number")],
)
def test_folds_that_are_wanted_must_be_there(
    folds: str, said: str, folds_channel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDS_VARIABLE, folds)
    with pytest.raises(InputError, match=said):
        read_cross_validation()


def test_limits_are_read_from_the_arguments() -> None:
    assert parse_arguments([]) == (Limits(), 0)
    arguments = ["--max-rmse-hours", "5.5", "--max-mae-hours", "none", "--must-beat", "last_hour,tuned_histogram"]
    arguments += [
        "--must-hold-in-cross-validation",
        "true",
        "--non-inferiority-margin",
        "0.01",
        "--kept-lead-share",
        "0.3",
        "--article-model-epochs",
        "2",
    ]
    assert parse_arguments(arguments) == (Limits(5.5, None, ("last_hour", "tuned_histogram"), True, 0.01, 0.3), 2)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--must-beat", "everyone"], id="unknown baseline"),
        pytest.param(["--max-rmse-hours", "many"], id="no number"),
        pytest.param(["--must-hold-in-cross-validation", "yes"], id="neither true nor false"),
        pytest.param(["--must-win"], id="unknown argument"),
        pytest.param(["--must-beat", "article_gru"], id="baseline that is not fitted"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(InputError, match="in the execution input"):
        parse_arguments(arguments)


@pytest.fixture(scope="module")
def model() -> Bundle:
    return fit(DATASET, learner=LightGbmLearner(threads=1))


def test_rows_as_sent_are_what_the_schedule_would_forecast(model: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = known_rows(DATASET, PARTS)
    assert set(PARTS.test) < set(rows)
    sent = as_sent.as_sent(DATASET, rows, [model])
    assert set(PARTS.test) < set(sent.rows)  # whoever has three days has a known one
    users = user_of_row(DATASET)[sent.rows]
    for place in range(0, len(sent.rows), 25):
        row = sent.rows[place]
        known = as_known(DATASET, users[place : place + 1], DATASET.visit_date[[row]])
        expected = forecast_last(model, known.dataset, known.as_of)
        np.testing.assert_allclose(sent.forecasts[0].visit_hour[place], expected.visit_hour[0], atol=1e-6)
        assert sent.last_hour[place] == known.dataset.first_visit_hour[-2]
    monkeypatch.setattr(as_sent, "BLOCK_PAIRS", 7)
    again = as_sent.as_sent(DATASET, rows, [model])
    np.testing.assert_array_equal(again.rows, sent.rows)
    np.testing.assert_allclose(again.histograms, sent.histograms, atol=1e-5)
    np.testing.assert_allclose(again.forecasts[0].first_visit_hour, sent.forecasts[0].first_visit_hour, atol=1e-5)


def learnt_until(model: Bundle, day: int) -> Bundle:
    """The model as if its test rows began on that day."""
    return replace(model, metadata=model.metadata | {"cut_offs": {"validation_starts": 0, "test_starts": day}})


def against(model: Bundle, production: Bundle) -> Evaluation:
    return evaluate(model, DATASET, production=production, limits=Limits(non_inferiority_margin=1.0))


def test_no_model_is_judged_on_rows_that_it_has_learnt_from(model: Bundle) -> None:
    dates = DATASET.visit_date[PARTS.test]
    middle = int(np.median(dates))
    for day, rows in ((PARTS.test_starts - 9, len(dates)), (middle, int((dates >= middle).sum()))):
        results = against(model, learnt_until(model, day)).results
        assert results["production"]["rows"] == rows
        assert results["production"]["log_loss_difference"]["mean"] == 0
        assert results["gate"]["beats_production"]


def test_a_production_model_that_has_learnt_from_the_test_rows_is_not_compared(model: Bundle) -> None:
    results = against(model, learnt_until(model, int(DATASET.visit_date.max()) + 1)).results
    assert results["production"] is None
    assert "learnt from all but" in results["gate"]["reasons"][0]
    assert any("against tuned_histogram's" in reason for reason in results["gate"]["reasons"])
