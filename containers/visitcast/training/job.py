"""The training job: dataset in, model bundle out."""

from __future__ import annotations

import csv
import json
import os
import platform
import time
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import sklearn
import tensorflow as tf

from visitcast import paths
from visitcast.contract import progress, whole_folder
from visitcast.data.dataset import Dataset, hour_flags, position_in_history, read
from visitcast.data.manifest import read_manifest
from visitcast.data.protocol import Split, require_enough_rows, split
from visitcast.features.encoding import Encoding
from visitcast.features.histograms import decayed_histograms, histograms_before
from visitcast.features.pipeline import FeaturePipeline
from visitcast.forecasting import forecaster
from visitcast.metrics import BEST_HOUR_HIT_RATE, LOG_LOSS, MAE_HOURS, RMSE_HOURS, score_probabilities
from visitcast.model import bundle, calibration, mixture
from visitcast.model.baselines import score_baselines, tuned_histogram
from visitcast.model.gru import inference, tensorflow_threads, trainer
from visitcast.model.gru.hyperparameters import Hyperparameters, parse
from visitcast.model.gru.onnx_graph import to_onnx
from visitcast.model.gru.shards import Shards, readers
from visitcast.model.gru.validation import validation_of
from visitcast.training import folds

LEARNING_CURVE_FILE = "learning_curve.csv"
REVISION_VARIABLE = "VISITCAST_REVISION"
"""Revision of the code that the image was built from; empty where nobody says."""


def main() -> None:
    """Run the job on SageMaker's folders."""
    tensorflow_threads.bound()
    hyperparameters = read_hyperparameters(paths.hyperparameters_file())
    progress(0.0, "reading the dataset")
    folder = paths.training_dataset()
    dataset, manifest = read(folder), read_manifest(folder)
    parts = split(dataset, hyperparameters.fold, hyperparameters.folds)
    require_enough_rows(parts)
    # For a fold the dataset's own pipeline is no good: it was fitted on days that lie in the fold's future.
    pipeline = (
        FeaturePipeline(parts.validation_starts).fit(dataset) if hyperparameters.fold else bundle.read_pipeline(folder)
    )

    shards = Shards(readers(folder), pipeline.encoding_, parts.validation_starts)
    with whole_folder(paths.model()) as model_folder:
        fitted, epochs = fit(dataset, shards, parts, pipeline.encoding_, hyperparameters, paths.checkpoints())
        fitted.metadata["dataset"] = asdict(manifest)
        fitted.metadata["learning_curve"] = [asdict(epoch) for epoch in epochs]  # for the evaluation's report
        fitted.metadata["trained_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        bundle.save(model_folder, fitted, pipeline)
        write_learning_curve(paths.output_data(), epochs)
    print(f"final_validation_log_loss={fitted.metadata['validation_metrics']['log_loss']:.4f}", flush=True)
    if hyperparameters.fold:
        report_fold(fitted, dataset, parts, hyperparameters)
    progress(1.0, "model written")


def read_hyperparameters(file: Path) -> Hyperparameters:
    """Read ``hyperparameters.json``; SageMaker leaves it out when the job has none."""
    return parse(json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {})


def fit(
    dataset: Dataset,
    shards: Shards,
    parts: Split,
    encoding: Encoding,
    hyperparameters: Hyperparameters,
    checkpoints: Path | None = None,
) -> tuple[bundle.Bundle, list[trainer.Epoch]]:
    """Fit histogram, network, temperatures and mixture; nothing here looks at test rows.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    shards : Shards
        The same, as the network reads them.
    parts : Split
        Training and validation rows.
    encoding : Encoding
        Features, fitted on days before the validation part.
    hyperparameters : Hyperparameters
        Settings.
    checkpoints : Path, optional
        Folder of checkpoints. Default: none are read or written.
    """
    started = time.monotonic()
    validation = parts.validation
    progress(0.0, "tuning the histogram")
    counts = histograms_before(dataset, validation)
    histogram = tuned_histogram.fit(dataset, parts, counts)
    histogram_first = tuned_histogram.predict(histogram, dataset.visit_date[validation], counts)
    histogram_visited = tuned_histogram.visit_hours(histogram, counts)
    judge = validation_of(encoding, dataset, validation, counts)

    learnt = trainer.fit(shards, judge, hyperparameters, checkpoints)

    network = inference.load(to_onnx(learnt.weights))
    logits = judge.logits(network)
    hour, flags = dataset.first_visit_hour[validation], hour_flags(dataset.hourly_visits[validation])
    history = position_in_history(dataset, validation)
    temperatures = (
        calibration.first_hour_temperature(logits[0], hour),
        calibration.visited_temperature(logits[1], flags),
    )
    first = inference.softmax(logits[0] / np.float32(temperatures[0]))
    visited = inference.sigmoid(logits[1] / np.float32(temperatures[1]))
    weights = mixture.Mixture(
        mixture.first_hour_weights(first, histogram_first, hour, history),
        mixture.visited_weights(visited, histogram_visited, flags, history),
    )
    mixed_first = mixture.blend(weights.first_hour, history, first, histogram_first)
    mixed_visited = mixture.blend(weights.visited, history, visited, histogram_visited)
    scores = score_probabilities(
        mixed_first, hour, dataset.hourly_visits[validation], best_hour=mixed_visited.argmax(axis=1)
    )
    metadata = {
        "hyperparameters": learnt.hyperparameters.as_dict(),
        "cut_offs": {"validation_starts": parts.validation_starts, "test_starts": parts.test_starts},
        "versions": versions(),
        "revision": os.environ.get(REVISION_VARIABLE, ""),
        "validation_metrics": scores,
        "labelled_visits_per_second": round(learnt.labelled_visits_per_second),
        "seconds": round(time.monotonic() - started, 1),
    }
    fitted = bundle.Bundle(network, encoding, histogram, weights, *temperatures, metadata)
    return fitted, learnt.epochs


def report_fold(fitted: bundle.Bundle, dataset: Dataset, parts: Split, hyperparameters: Hyperparameters) -> None:
    """Print and write a fold's test metrics, and the baselines' beside them.

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
    fold = folds.describe(hyperparameters.fold, hyperparameters.folds, parts, scores, baselines)
    folds.write_fold(paths.output_data(), fold)
    names = (LOG_LOSS, MAE_HOURS, RMSE_HOURS, BEST_HOUR_HIT_RATE)
    print(" ".join(f"final_test_{name}={scores[name]:.4f}" for name in names), flush=True)


def write_learning_curve(folder: Path, epochs: list[trainer.Epoch]) -> None:
    """Write one CSV row per epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LEARNING_CURVE_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(trainer.Epoch)])
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in epochs)


def versions() -> dict[str, str]:
    """Versions of what a model's numbers depend on."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
