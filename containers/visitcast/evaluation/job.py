"""The evaluation job: candidate, baselines and production model on the same test rows, and the gate's verdict."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from visitcast import paths
from visitcast.contract import progress
from visitcast.data.dataset import Dataset, read
from visitcast.data.manifest import Manifest, manifest_digest, read_manifest
from visitcast.data.protocol import split
from visitcast.data.schema import SCHEMA_VERSION
from visitcast.errors import InputError
from visitcast.evaluation import gate, report
from visitcast.evaluation.evaluate import evaluate
from visitcast.features.histograms import histograms_before
from visitcast.metrics import Outcomes
from visitcast.model import archive, bundle
from visitcast.model.baselines import ARTICLE_GRU, BASELINES
from visitcast.model.learner import TrainingData
from visitcast.training import folds

PRODUCTION_VERSION_VARIABLE = "VISITCAST_PRODUCTION_VERSION"
"""Number of the version in the model registry that is in production; empty where none is."""
ANCHOR_LEAD_VARIABLE = "VISITCAST_ANCHOR_LEAD"
"""Lead over the tuned histogram, in nats, that the registry keeps with that version; empty or 0 if it has none."""
FOLDS_VARIABLE = "VISITCAST_FOLDS"
SEED = 7


def main(arguments: Sequence[str]) -> None:
    """Run the job on SageMaker's folders."""
    limits, article_epochs = parse_arguments(arguments)
    production_version = os.environ.get(PRODUCTION_VERSION_VARIABLE, "")
    cross_validation = read_cross_validation()
    progress(0.0, "reading the dataset")
    folder = paths.evaluation_dataset()
    dataset, manifest = read(folder), read_manifest(folder)
    article = {}
    if article_epochs:
        progress(0.05, "fitting the article's model")
        article = {ARTICLE_GRU: article_outcomes(dataset, article_epochs)}
    candidate = archive.load(paths.candidate_model())
    production, not_compared = read_production(production_version)
    evaluated = evaluate(
        candidate,
        dataset,
        production=production,
        not_compared=not_compared,
        anchor_lead=float(os.environ.get(ANCHOR_LEAD_VARIABLE) or 0),
        more_baselines=article,
        cross_validation=cross_validation,
        limits=limits,
    )
    evaluation = {"schema_version": SCHEMA_VERSION, "data": describe(manifest), **evaluated.results}
    evaluation["data"]["manifest_sha256"] = manifest_digest(folder)
    if evaluation["production"] is not None:
        evaluation["production"]["model_version"] = production_version

    progress(0.95, "drawing the report")
    figures = report.draw(dataset, evaluated.parts, evaluated.forecast, evaluation, candidate.metadata, SEED)
    write_whole(paths.evaluation_report(), report.render(evaluation, figures, candidate.metadata, manifest))
    write_whole(paths.evaluation_file(), json.dumps(evaluation, indent=2, allow_nan=False) + "\n")
    verdict = evaluation["gate"]
    progress(1.0, "model passed the gate" if verdict["passed"] else "model rejected: " + " ".join(verdict["reasons"]))


def parse_arguments(arguments: Sequence[str]) -> tuple[gate.Limits, int]:
    """Read the job's arguments: the gate's limits, and the epochs of the article's model (0: it is not fitted).

    Raises
    ------
    InputError
        An unknown argument, a value that is not a number, or a baseline to beat that is unknown or not fitted.
    """
    parser = argparse.ArgumentParser(prog="evaluate", exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--max-rmse-hours", default=None, type=_limit)
    parser.add_argument("--max-mae-hours", default=None, type=_limit)
    parser.add_argument("--must-beat", default=(), type=_names)
    parser.add_argument("--must-hold-in-cross-validation", default=False, type=_flag)
    parser.add_argument("--non-inferiority-margin", default=gate.Limits().non_inferiority_margin, type=float)
    parser.add_argument("--kept-lead-share", default=gate.Limits().kept_lead_share, type=float)
    parser.add_argument("--article-model-epochs", default=0, type=int)
    try:
        known, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise InputError("The evaluation's arguments cannot be read.", str(error), _REMEDY) from None
    if unknown:
        raise InputError("The evaluation has an unknown argument.", " ".join(unknown), _REMEDY)
    values = vars(known)
    article_epochs = values.pop("article_model_epochs")
    limits = gate.Limits(**values)
    if ARTICLE_GRU in limits.must_beat and not article_epochs:
        raise InputError(
            "The gate names a baseline that is not fitted.",
            f"The model must beat {ARTICLE_GRU}, which is fitted for 0 epochs.",
            "Set Evaluation.ArticleModelEpochs in the execution input, or leave it out of Gate.MustBeat.",
        )
    return limits, article_epochs


_REMEDY = "Correct Gate and Evaluation in the execution input."


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
    """Read the folds' scores; None if the run has no folds: the channel then holds another file and is not read.

    Raises
    ------
    InputError
        The number of folds is not a number, or a fold is missing.
    """
    text = os.environ.get(FOLDS_VARIABLE) or "0"
    if not text.isdecimal():
        raise InputError("The number of folds is not a number.", f"{FOLDS_VARIABLE}={text}", _REMEDY)
    return folds.aggregate(folds.read_folds(paths.evaluation_folds(), int(text))) if int(text) else None


def read_production(version: str) -> tuple[bundle.Bundle | None, str]:
    """Read the model in production; None and the reason if there is none, or if this image cannot read it.

    A model of an earlier release is not an error: it would keep every later one from production.
    """
    if not version:
        return None, ""
    try:
        return archive.load(paths.production_model()), ""
    except InputError as error:
        return None, f"Version {version} in production cannot be compared: {error.cause}"


def article_outcomes(dataset: Dataset, epochs: int) -> Outcomes:
    """Fit the article's model and forecast the test rows; TensorFlow is imported only here."""
    from visitcast.model import article_gru

    parts = split(dataset)
    counts = histograms_before(dataset, parts.validation)
    encoding = bundle.read_pipeline(paths.evaluation_dataset()).encoding_
    data = TrainingData(dataset, parts.train, parts.validation, counts, encoding)
    return article_gru.outcomes(data, parts.test, epochs, SEED)


def describe(manifest: Manifest) -> dict[str, Any]:
    """Return counts and cut-offs of the dataset."""
    return {**asdict(manifest.counts), **asdict(manifest.cut_offs)}


def write_whole(file: Path, text: str) -> None:
    """Write a file completely or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
