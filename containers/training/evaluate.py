"""The evaluation job: candidate, baselines and production model on the same test rows, and the gate's verdict."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import comparison, folds, gate, groups, report
from visitcast import features, paths
from visitcast.baselines import ARTICLE_GRU, BASELINES, TUNED_HISTOGRAM, baseline_outcomes
from visitcast.contract import progress
from visitcast.dataset import Dataset, read, user_of_row
from visitcast.errors import InputError
from visitcast.forecasting import bundle, forecaster
from visitcast.histograms import decayed_histograms
from visitcast.manifest import Manifest, read_manifest
from visitcast.metrics import LOG_LOSS, Outcomes, probability_outcomes, reliability, summarise
from visitcast.protocol import Split, split
from visitcast.schema import SCHEMA_VERSION

PRODUCTION_CONFIG_VARIABLE = "VISITCAST_PRODUCTION_CONFIG"
FOLDS_VARIABLE = "VISITCAST_FOLDS"
PRODUCTION = "production"
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
    candidate = forecast_test_rows(paths.candidate_model(), dataset, parts, counts)
    rivals: dict[str, Outcomes] = {}
    if production_config:
        rivals[PRODUCTION] = forecast_test_rows(paths.production_model(), dataset, parts, counts).outcomes

    progress(0.3, "scoring the baselines")
    rivals |= baseline_outcomes(dataset, parts, counts)
    del counts
    progress(0.5, "fitting the article's model")
    rivals[ARTICLE_GRU] = article_outcomes(dataset, parts)

    progress(0.9, "comparing")
    users = user_of_row(dataset)[parts.test]
    scores = summarise(candidate.outcomes)
    baselines = {name: summarise(rivals[name]) for name in BASELINES}
    compared = comparison.compare(candidate.outcomes, rivals, users)
    production_differences = compared.differences.pop(PRODUCTION, None)
    verdict = gate.judge(
        gate.Evidence(scores, baselines, compared.differences, production_differences, cross_validation), limits
    )
    evaluation = {
        "schema_version": SCHEMA_VERSION,
        "data": describe(manifest),
        "model": scores,
        "intervals": as_json(compared.intervals),
        "baselines": baselines,
        "differences": as_json(compared.differences),
        "groups": as_json(
            groups.score_groups(groups.group_rows(dataset, parts), candidate.outcomes, rivals[TUNED_HISTOGRAM], users)
        ),
        "reliability": as_json(candidate.reliability()),
        "production": None
        if production_differences is None
        else {
            "endpoint_config": production_config,
            "metrics": summarise(rivals[PRODUCTION]),
            "log_loss_difference": as_json(production_differences[LOG_LOSS]),
            "differences": as_json(production_differences),
        },
        "cross_validation": as_json(cross_validation),
        "gate": as_json(verdict),
    }
    progress(0.95, "drawing the report")
    page = report.render(
        evaluation,
        report.draw(dataset, parts, candidate.forecast, evaluation, candidate.metadata, SEED),
        candidate.metadata,
        manifest,
    )
    write_whole(paths.evaluation_report(), page)
    write_whole(paths.evaluation_file(), json.dumps(evaluation, indent=2, allow_nan=False) + "\n")
    progress(1.0, "model passed the gate" if verdict.passed else "model rejected: " + " ".join(verdict.reasons))


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


@dataclass(frozen=True)
class Candidate:
    """A model's forecasts of the test rows and how they turned out."""

    metadata: dict[str, Any]
    forecast: forecaster.Forecast
    outcomes: Outcomes

    def reliability(self) -> dict[str, Any]:
        """Chances against what came: of the likeliest first hour, and of a visit in the best hour."""
        confidence = self.outcomes.confidence
        best = self.forecast.visit_hour.max(axis=1)
        return {
            "first_visit_hour": [] if confidence is None else reliability(confidence, self.outcomes.likeliest_right),
            "best_hour": reliability(best, self.outcomes.hit),
        }


def forecast_test_rows(archive: Path, dataset: Dataset, parts: Split, counts: NDArray[np.float32]) -> Candidate:
    """Forecast the test rows by the model of an archive."""
    with bundle.unpacked(archive) as folder:
        fitted = bundle.load(folder)
    rows = parts.test
    forecast = forecaster.forecast(fitted, dataset, rows, counts)
    outcomes = probability_outcomes(
        forecast.first_visit_hour,
        dataset.first_visit_hour[rows],
        dataset.hourly_visits[rows],
        best_hour=forecast.best_hour,
    )
    return Candidate(fitted.metadata, forecast, outcomes)


def article_outcomes(dataset: Dataset, parts: Split) -> Outcomes:
    """Fit the article's model and forecast the test rows; TensorFlow is imported only here."""
    from training import article_gru, tensorflow_threads

    tensorflow_threads.bound()
    pipeline = bundle.read_pipeline(paths.evaluation_dataset())
    _, target_names = features.feature_names(pipeline)
    return article_gru.outcomes(dataset, parts, features.transform(pipeline, dataset), target_names, seed=SEED)


def describe(manifest: Manifest) -> dict[str, Any]:
    """Give counts and cut-offs of the dataset."""
    return {**asdict(manifest.counts), **asdict(manifest.cut_offs)}


def as_json(value: Any) -> Any:
    """Turn dataclasses, however deep in dicts and lists, into dicts."""
    if is_dataclass(value) and not isinstance(value, type):
        return as_json(asdict(value))
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


def write_whole(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
