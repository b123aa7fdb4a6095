"""Forecast quality on your own events: the model beside its baselines and LightGBM, on the same test rows.

The rows are those of :mod:`visitcast.data.protocol`, forecast from whole histories and as the schedule does; every
difference is within one run, with an interval by bootstrap over users.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from benchmarks.athena_sql import on_duckdb
from benchmarks.pipeline import ROOT, Figure
from demo.events import read_events
from visitcast.data.dataset import Dataset, hour_flags, select_users, user_of_row
from visitcast.data.protocol import Split, eligible_rows, split
from visitcast.data.visits import read_visits
from visitcast.evaluation.as_sent import as_sent
from visitcast.evaluation.bootstrap import bootstrap_by_user
from visitcast.features.histograms import decayed_histograms
from visitcast.features.pipeline import FeaturePipeline
from visitcast.forecasting import forecaster
from visitcast.metrics import log_losses, score_probabilities
from visitcast.model.baselines import global_histogram, tuned_histogram
from visitcast.model.learner import TrainingData
from visitcast.model.logits import softmax
from visitcast.training.fitting import fit

SMALL_ROWS = 5_000
SEED = 7

Values = dict[str, NDArray[np.float64]]
"""Each metric's value per test row; the metric is their mean."""


def measure(events: Path) -> list[Figure]:
    """Train on a file of events and compare, on all of it and on ``SMALL_ROWS`` rows of whole users."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    dataset = visit_days(events)
    figures = compare(dataset, "quality", with_lightgbm=True)
    return figures + compare(some_users(dataset, SMALL_ROWS), f"quality, {SMALL_ROWS} rows", with_lightgbm=False)


def visit_days(events: Path) -> Dataset:
    """Turn events into visit days with the application's own SQL."""
    with duckdb.connect() as connection:
        connection.register("events", read_events(events))
        query = on_duckdb((ROOT / "sql" / "visits.sql").read_text(encoding="utf-8"))
        return read_visits(connection.sql(query).to_df())


def some_users(dataset: Dataset, rows: int) -> Dataset:
    """Choose users at random until they have about this many eligible rows."""
    order = np.random.default_rng(SEED).permutation(dataset.users)
    eligible = np.bincount(user_of_row(dataset)[eligible_rows(dataset)], minlength=dataset.users)
    count = int(np.searchsorted(np.cumsum(eligible[order]), rows)) + 1
    return select_users(dataset, np.sort(order[:count]))


def compare(dataset: Dataset, subject: str, with_lightgbm: bool) -> list[Figure]:
    """Fit the model and its peers, and compute the paired differences on the test rows."""
    parts = split(dataset)
    pipeline = FeaturePipeline(parts.validation_starts).fit(dataset)
    counts = decayed_histograms(dataset)
    started = time.perf_counter()
    fitted = fit(dataset, parts, pipeline=pipeline)
    seconds = time.perf_counter() - started
    answer = forecaster.forecast(fitted, dataset, parts.test, counts)
    model = per_row(dataset, parts, answer.first_visit_hour, answer.best_hour)

    histogram = tuned_histogram.fit(dataset, parts, counts[parts.validation])
    tuned = per_row(
        dataset,
        parts,
        tuned_histogram.predict(histogram, dataset.visit_date[parts.test], counts[parts.test]),
        tuned_histogram.visit_hours(histogram, counts[parts.test]).argmax(axis=1),
    )
    everyone = global_histogram.predict(global_histogram.fit(dataset, parts), parts.test)
    scores = score_probabilities(
        answer.first_visit_hour,
        dataset.first_visit_hour[parts.test],
        dataset.hourly_visits[parts.test],
        best_hour=answer.best_hour,
    )
    users = user_of_row(dataset)[parts.test]
    sent = as_sent(dataset, parts.test, [fitted])
    own = per_row(dataset, parts, sent.forecasts[0].first_visit_hour, sent.forecasts[0].best_hour)
    in_use = tuned_histogram.fit(dataset, parts, as_sent(dataset, parts.validation).histograms)
    rival = per_row(
        dataset,
        parts,
        tuned_histogram.predict(in_use, dataset.visit_date[parts.test], sent.histograms),
        tuned_histogram.visit_hours(in_use, sent.histograms).argmax(axis=1),
    )
    figures = [
        Figure(subject, "test rows", len(parts.test), ""),
        Figure(subject, "fit", seconds, "s"),
        Figure(subject, "log loss", _number(scores["log_loss"]), "nats"),
        Figure(subject, "calibration error (ECE)", _number(scores["ece"]), "", "<= 0.010"),
        *differences(subject, "tuned histogram", model, tuned, users, TUNED_TARGETS),
        *(Figure(f"{subject}, as sent", name, float(values.mean()), UNITS[name]) for name, values in own.items()),
        *differences(f"{subject}, as sent", "tuned histogram", own, rival, users, {"log loss": "<= -0.045"}),
        *differences(f"{subject}, as sent", "whole history", own, model, users, {"log loss": "<= 0.003"}),
        *differences(
            subject,
            "global histogram",
            {"log loss": model["log loss"]},
            per_row(dataset, parts, everyone, everyone.argmax(axis=1)),
            users,
            {"log loss": "<= -0.245"},
        ),
    ]
    if with_lightgbm:
        from benchmarks.lightgbm_peer import LightGbmLearner

        data = TrainingData(dataset, parts.train, parts.validation, counts[parts.validation], pipeline.encoding_)
        scorer = LightGbmLearner().fit(data).scorer
        peer = softmax(scorer.logits(dataset, parts.test, counts[parts.test]).first_hour)
        figures += differences(
            subject,
            "LightGBM",
            {"log loss": model["log loss"]},
            per_row(dataset, parts, peer, peer.argmax(axis=1)),
            users,
            {"log loss": "<= 0"},
        )
    return figures


UNITS = {"log loss": "nats", "best-hour hits": "", "MAE": "h"}
TUNED_TARGETS = {"log loss": "<= -0.042, stretch -0.055", "best-hour hits": ">= 0.009", "MAE": "<= -0.11"}


def per_row(dataset: Dataset, parts: Split, probabilities: NDArray[Any], best_hour: NDArray[np.int64]) -> Values:
    """Return each row's log loss (nats), hit of the best hour (0 or 1) and error of the median (hours)."""
    hour = dataset.first_visit_hour[parts.test].astype(np.int64)
    median = (np.cumsum(probabilities, axis=1) >= 0.5 * probabilities.sum(axis=1, keepdims=True)).argmax(axis=1)
    hits = hour_flags(dataset.hourly_visits[parts.test])[np.arange(len(hour)), best_hour]
    return {
        "log loss": log_losses(probabilities, hour),
        "best-hour hits": hits.astype(np.float64),
        "MAE": np.abs(median - hour).astype(np.float64),
    }


def differences(
    subject: str, peer: str, model: Values, other: Values, users: NDArray[np.int64], targets: Mapping[str, str]
) -> list[Figure]:
    """Return the mean difference to a peer and the ends of its 95% interval, for each metric of the model."""
    figures = []
    for name, values in model.items():
        interval = bootstrap_by_user(values - other[name], users)
        unit = UNITS[name]
        text = f"{name} - {peer}'s"
        figures += [
            Figure(subject, text, interval.mean, unit, targets.get(name, "")),
            Figure(subject, f"{text}, 2.5%", interval.low, unit),
            Figure(subject, f"{text}, 97.5%", interval.high, unit),
        ]
    return figures


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
