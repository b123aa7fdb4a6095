"""The evaluation job: candidate, baselines and production model on the same test rows, and the gate's verdict."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visitcast import paths
from visitcast.contract import progress
from visitcast.data.dataset import Dataset, read, user_of_row
from visitcast.data.manifest import Manifest, manifest_digest, read_manifest
from visitcast.data.protocol import Split, split
from visitcast.data.schema import SCHEMA_VERSION
from visitcast.errors import InputError
from visitcast.evaluation import gate, report
from visitcast.evaluation.assessment import Contest, assess
from visitcast.evaluation.groups import group_rows
from visitcast.features.histograms import decayed_histograms, histograms_before
from visitcast.forecasting import forecaster
from visitcast.metrics import Outcomes, probability_outcomes
from visitcast.model import bundle
from visitcast.model.baselines import ARTICLE_GRU, BASELINES, baseline_outcomes
from visitcast.model.learner import TrainingData
from visitcast.training import folds

PRODUCTION_CONFIG_VARIABLE = "VISITCAST_PRODUCTION_CONFIG"
FOLDS_VARIABLE = "VISITCAST_FOLDS"
SEED = 7


def main(arguments: Sequence[str]) -> None:
    """Run the job on SageMaker's folders."""
    limits = parse_limits(arguments)
    production_config = os.environ.get(PRODUCTION_CONFIG_VARIABLE, "")
    cross_validation = read_cross_validation()
    progress(0.0, "reading the dataset")
    folder = paths.evaluation_dataset()
    dataset, manifest = read(folder), read_manifest(folder)
    parts = split(dataset)
    counts = decayed_histograms(dataset)

    progress(0.1, "forecasting the test rows")
    candidate = load_model(paths.candidate_model())
    forecast, outcomes = forecast_test_rows(candidate, dataset, parts, counts)
    production = None
    if production_config:
        _, production = forecast_test_rows(load_model(paths.production_model()), dataset, parts, counts)

    progress(0.3, "scoring the baselines")
    baselines = baseline_outcomes(dataset, parts, counts)
    del counts
    progress(0.5, "fitting the article's model")
    baselines[ARTICLE_GRU] = article_outcomes(dataset, parts)

    progress(0.9, "comparing")
    users = user_of_row(dataset)[parts.test]
    contest = Contest(users, outcomes, forecast.visit_hour.max(axis=1), baselines, production)
    assessment = assess(contest, group_rows(dataset, parts), cross_validation, limits)
    evaluation = {"schema_version": SCHEMA_VERSION, "data": describe(manifest), **assessment}
    evaluation["data"]["manifest_sha256"] = manifest_digest(folder)
    if production_config:
        evaluation["production"]["endpoint_config"] = production_config

    progress(0.95, "drawing the report")
    figures = report.draw(dataset, parts, forecast, evaluation, candidate.metadata, SEED)
    write_whole(paths.evaluation_report(), report.render(evaluation, figures, candidate.metadata, manifest))
    write_whole(paths.evaluation_file(), json.dumps(evaluation, indent=2, allow_nan=False) + "\n")
    verdict = evaluation["gate"]
    progress(1.0, "model passed the gate" if verdict["passed"] else "model rejected: " + " ".join(verdict["reasons"]))


def parse_limits(arguments: Sequence[str]) -> gate.Limits:
    """Read the job's arguments.

    Raises
    ------
    InputError
        An unknown argument, a limit that is no number, or an unknown baseline.
    """
    parser = argparse.ArgumentParser(prog="evaluate", exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--max-rmse-hours", default=None, type=_limit)
    parser.add_argument("--max-mae-hours", default=None, type=_limit)
    parser.add_argument("--must-beat", default=(), type=_names)
    parser.add_argument("--must-hold-in-cross-validation", default=False, type=_flag)
    parser.add_argument("--non-inferiority-margin", default=gate.Limits().non_inferiority_margin, type=float)
    try:
        known, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise InputError("The gate's limits cannot be read.", str(error), _REMEDY) from None
    if unknown:
        raise InputError("The evaluation has an unknown argument.", " ".join(unknown), _REMEDY)
    return gate.Limits(**vars(known))


_REMEDY = "Correct Gate in the execution input."


def _limit(text: str) -> float | None:
    return None if text == "none" else float(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def _names(text: str) -> tuple[str, ...]:
    names = () if text in ("none", "") else tuple(text.split(","))
    unknown = sorted(set(names) - set(BASELINES))
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown baseline {', '.join(unknown)}; known are {', '.join(BASELINES)}")
    return names


def read_cross_validation() -> folds.CrossValidation | None:
    """Read the folds' scores; None when the run has none: the channel then holds something else and is not read.

    Raises
    ------
    InputError
        The number of folds is no number, or a fold is missing.
    """
    text = os.environ.get(FOLDS_VARIABLE) or "0"
    if not text.isdecimal():
        raise InputError("The number of folds is no number.", f"{FOLDS_VARIABLE}={text}", _REMEDY)
    return folds.aggregate(folds.read_folds(paths.evaluation_folds(), int(text))) if int(text) else None


def load_model(archive: Path) -> bundle.Bundle:
    """Read a model from the archive that SageMaker made of it."""
    with bundle.unpacked(archive) as folder:
        return bundle.load(folder)


def forecast_test_rows(
    model: bundle.Bundle, dataset: Dataset, parts: Split, counts: NDArray[np.float32]
) -> tuple[forecaster.Forecast, Outcomes]:
    """Forecast the test rows and compare with what came."""
    rows = parts.test
    forecast = forecaster.forecast(model, dataset, rows, counts)
    outcomes = probability_outcomes(
        forecast.first_visit_hour,
        dataset.first_visit_hour[rows],
        dataset.hourly_visits[rows],
        best_hour=forecast.best_hour,
    )
    return forecast, outcomes


def article_outcomes(dataset: Dataset, parts: Split) -> Outcomes:
    """Fit the article's model and forecast the test rows; TensorFlow is imported only here."""
    from visitcast.model import article_gru

    pipeline = bundle.read_pipeline(paths.evaluation_dataset())
    counts = histograms_before(dataset, parts.validation)
    data = TrainingData(dataset, parts.train, parts.validation, counts, pipeline)
    return article_gru.outcomes(data, parts.test, SEED)


def describe(manifest: Manifest) -> dict[str, Any]:
    """Give counts and cut-offs of the dataset."""
    return {**asdict(manifest.counts), **asdict(manifest.cut_offs)}


def write_whole(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
