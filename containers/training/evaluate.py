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

from training import gate
from visitcast import features, paths
from visitcast.baselines import ARTICLE_GRU, BASELINES, score_baselines
from visitcast.contract import progress
from visitcast.dataset import Dataset, read, user_of_row
from visitcast.errors import InputError
from visitcast.forecasting import bundle, forecaster
from visitcast.histograms import decayed_histograms
from visitcast.manifest import Manifest, read_manifest
from visitcast.metrics import Scores, bootstrap_by_user, log_losses, score_probabilities
from visitcast.protocol import Split, split
from visitcast.schema import SCHEMA_VERSION

PRODUCTION_CONFIG_VARIABLE = "VISITCAST_PRODUCTION_CONFIG"
SEED = 7


def main(arguments: Sequence[str]) -> None:
    """Run the job on SageMaker's folders."""
    limits = parse_limits(arguments)
    production_config = os.environ.get(PRODUCTION_CONFIG_VARIABLE, "")
    progress(0.0, "reading the dataset")
    folder = paths.evaluation_dataset()
    dataset, manifest = read(folder), read_manifest(folder)
    parts = split(dataset)
    counts = decayed_histograms(dataset)

    progress(0.1, "forecasting the test rows")
    scores, losses = score_model(paths.candidate_model(), dataset, parts, counts)
    production, difference = None, None
    if production_config:
        production_scores, production_losses = score_model(paths.production_model(), dataset, parts, counts)
        difference = bootstrap_by_user(losses - production_losses, user_of_row(dataset)[parts.test])
        production = {
            "endpoint_config": production_config,
            "metrics": production_scores,
            "log_loss_difference": asdict(difference),
        }

    progress(0.3, "scoring the baselines")
    baselines = score_baselines(dataset, parts, counts)
    del counts
    progress(0.5, "fitting the article's model")
    baselines[ARTICLE_GRU] = score_article(dataset, parts)

    verdict = gate.judge(scores, baselines, difference, limits)
    write_report(
        paths.evaluation_file(),
        {
            "schema_version": SCHEMA_VERSION,
            "data": describe(manifest),
            "model": scores,
            "baselines": baselines,
            "production": production,
            "gate": asdict(verdict),
        },
    )
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


def _names(text: str) -> tuple[str, ...]:
    names = () if text in ("none", "") else tuple(text.split(","))
    unknown = sorted(set(names) - set(BASELINES))
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown baseline {', '.join(unknown)}; known are {', '.join(BASELINES)}")
    return names


def score_model(
    archive: Path, dataset: Dataset, parts: Split, counts: NDArray[np.float32]
) -> tuple[Scores, NDArray[np.float64]]:
    """Score a model archive on the test rows; returns its metrics and its log loss per row."""
    with bundle.unpacked(archive) as folder:
        fitted = bundle.load(folder)
    rows = parts.test
    forecast = forecaster.forecast(fitted, dataset, rows, counts)
    first_hour = dataset.first_visit_hour[rows].astype(np.int64)
    scores = score_probabilities(
        forecast.first_visit_hour, first_hour, dataset.hourly_visits[rows], best_hour=forecast.best_hour
    )
    return scores, log_losses(forecast.first_visit_hour, first_hour)


def score_article(dataset: Dataset, parts: Split) -> Scores:
    """Fit and score the article's model; TensorFlow is imported only here."""
    from training import article_gru, tensorflow_threads

    tensorflow_threads.bound()
    pipeline = bundle.read_pipeline(paths.evaluation_dataset())
    _, target_names = features.feature_names(pipeline)
    return article_gru.score(dataset, parts, features.transform(pipeline, dataset), target_names, seed=SEED)


def describe(manifest: Manifest) -> dict[str, Any]:
    """Give counts and cut-offs of the dataset."""
    return {**asdict(manifest.counts), **asdict(manifest.cut_offs)}


def write_report(file: Path, report: dict[str, Any]) -> None:
    """Write ``evaluation.json`` whole or not at all; NaN would not be JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.partial")
    temporary.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(file)
