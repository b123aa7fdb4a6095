"""The learning curve: log loss on the same test rows against the number of training users, on simulated events.

The test users are never trained on: their validation rows stop the training and tune what follows, their test rows give
the figures. The samples of training users are nested: each sample is part of the next larger one.
"""

from __future__ import annotations

import csv
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.pipeline import Figure
from benchmarks.simulated import visit_days
from demo.simulator import World
from visitcast.data.dataset import select_users, user_of_row
from visitcast.data.protocol import eligible_rows, split
from visitcast.evaluation.bootstrap import bootstrap_by_user
from visitcast.features.histograms import decayed_histograms
from visitcast.features.pipeline import FeaturePipeline
from visitcast.forecasting import forecaster
from visitcast.metrics import log_losses
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.learner import GruLearner
from visitcast.training.fitting import fit

WORLD = World(users=150_000)
TEST_USERS = 10_000
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
QUICK = World(users=240, days=90)
QUICK_TEST_USERS = 80
QUICK_SIZES = (30, 90)
POINTS_FILE = Path("build/bench/learning-curve.csv")
"""Gets a line as soon as a size has been measured, since the largest one takes most of the time."""
SUBJECT = "learning curve"


def measure(quick: bool = False) -> list[Figure]:
    """Train on growing samples of users and compare each with the one before."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    dataset = visit_days(QUICK if quick else WORLD)
    test_users = QUICK_TEST_USERS if quick else TEST_USERS
    parts = split(dataset)
    pipeline = FeaturePipeline(parts.validation_starts).fit(dataset)
    first_trained_row = dataset.offsets[test_users]
    parts = replace(
        parts,
        train=parts.train[parts.train >= first_trained_row],
        validation=parts.validation[parts.validation < first_trained_row],
    )
    trained = np.unique(user_of_row(dataset)[parts.train])

    tested = select_users(dataset, slice(0, test_users))
    test = eligible_rows(tested)
    test = test[tested.visit_date[test] >= parts.test_starts]
    users, hour, counts = user_of_row(tested)[test], tested.first_visit_hour[test], decayed_histograms(tested)
    figures = [Figure(SUBJECT, "test users", test_users, ""), Figure(SUBJECT, "test rows", len(test), "")]

    POINTS_FILE.parent.mkdir(parents=True, exist_ok=True)
    before = None
    with POINTS_FILE.open("w", newline="", encoding="utf-8") as file:
        points = csv.writer(file)
        points.writerow(["training users", "log loss", "minus the size before", "2.5%", "97.5%", "epochs", "seconds"])
        for size in QUICK_SIZES if quick else SIZES:
            if size > len(trained):
                raise ValueError(f"The world has {len(trained)} users with training rows, not {size}.")
            started = time.monotonic()
            learner = GruLearner(Hyperparameters(epochs=1 if quick else 0))
            fitted = fit(dataset, parts, pipeline=pipeline, learner=learner, max_training_users=size)
            seconds = time.monotonic() - started
            losses = log_losses(forecaster.forecast(fitted, tested, test, counts).first_visit_hour, hour)
            gain = None if before is None else bootstrap_by_user(losses - before, users)
            values = [None] * 3 if gain is None else [gain.mean, gain.low, gain.high]
            points.writerow([size, losses.mean(), *values, len(fitted.metadata["learning_curve"]), round(seconds)])
            file.flush()
            figures += [
                Figure(SUBJECT, f"{size:,} users: fit", seconds, "s"),
                Figure(SUBJECT, f"{size:,} users: log loss", float(losses.mean()), "nats"),
            ]
            if gain is not None:
                subject = f"{size:,} users - the size before"
                figures += [
                    Figure(SUBJECT, subject, gain.mean, "nats"),
                    Figure(SUBJECT, f"{subject}, 2.5%", gain.low, "nats"),
                    Figure(SUBJECT, f"{subject}, 97.5%", gain.high, "nats"),
                ]
            before = losses
    return figures
