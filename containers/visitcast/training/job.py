"""The training job: dataset in, model bundle out."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visitcast import paths
from visitcast.contract import progress, whole_folder
from visitcast.data.dataset import Dataset, read
from visitcast.data.manifest import read_manifest
from visitcast.data.protocol import Split, split
from visitcast.features.histograms import decayed_histograms
from visitcast.features.pipeline import FeaturePipeline
from visitcast.forecasting import forecaster
from visitcast.metrics import BEST_HOUR_HIT_RATE, LOG_LOSS, MAE_HOURS, RMSE_HOURS, score_probabilities
from visitcast.model import bundle
from visitcast.model.baselines import score_baselines
from visitcast.model.learners import make_learner
from visitcast.training import folds
from visitcast.training.fitting import fit
from visitcast.training.settings import Settings, parse_settings

LEARNING_CURVE_FILE = "learning_curve.csv"
REVISION_VARIABLE = "VISITCAST_REVISION"
"""Revision of the code that the image was built from; empty if unknown."""


def main() -> None:
    """Run the job on SageMaker's folders."""
    settings, hyperparameters = parse_settings(read_hyperparameters(paths.hyperparameters_file()))
    progress(0.0, "reading the dataset")
    folder = paths.training_dataset()
    dataset, manifest = read(folder), read_manifest(folder)
    parts = split(dataset, settings.fold, settings.folds)
    # A fold cannot use the dataset's own pipeline, which was fitted on days in the fold's future.
    pipeline = FeaturePipeline(parts.validation_starts).fit(dataset) if settings.fold else bundle.read_pipeline(folder)
    with whole_folder(paths.model()) as model_folder:
        fitted = fit(
            dataset,
            parts,
            pipeline=pipeline,
            learner=make_learner(hyperparameters),
            max_training_users=settings.max_training_users,
            seed=settings.seed,
            checkpoints=paths.checkpoints(),
        )
        fitted.metadata["hyperparameters"] = fitted.metadata.get("hyperparameters", {}) | asdict(settings)
        fitted.metadata["dataset"] = asdict(manifest)
        fitted.metadata["revision"] = os.environ.get(REVISION_VARIABLE, "")
        fitted.metadata["trained_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        bundle.save(model_folder, fitted)
        if epochs := fitted.metadata.get("learning_curve"):
            write_learning_curve(paths.output_data(), epochs)
    print(f"final_validation_log_loss={fitted.metadata['validation_metrics']['log_loss']:.4f}", flush=True)
    if settings.fold:
        report_fold(fitted, dataset, parts, settings)
    progress(1.0, "model written")


def read_hyperparameters(file: Path) -> dict[str, str]:
    """Read ``hyperparameters.json``; SageMaker leaves it out when the job has none."""
    values: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return values


def report_fold(fitted: bundle.Bundle, dataset: Dataset, parts: Split, settings: Settings) -> None:
    """Print and write a fold's test metrics, beside those of the baselines.

    Only folds do: the protocol's own test rows are left to the evaluation job.
    """
    counts = decayed_histograms(dataset)
    forecast = forecaster.forecast(fitted, dataset, parts.test, counts)
    scores = score_probabilities(
        forecast.first_visit_hour,
        dataset.first_visit_hour[parts.test],
        dataset.hourly_visits[parts.test],
        best_hour=forecast.best_hour,
    )
    baselines = score_baselines(dataset, parts, counts)
    fold = folds.describe(settings.fold, settings.folds, parts, scores, baselines)
    folds.write_fold(paths.output_data(), fold)
    names = (LOG_LOSS, MAE_HOURS, RMSE_HOURS, BEST_HOUR_HIT_RATE)
    print(" ".join(f"final_test_{name}={scores[name]:.4f}" for name in names), flush=True)


def write_learning_curve(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write a CSV file with a row per epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LEARNING_CURVE_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
