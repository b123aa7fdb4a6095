"""Forecast quality on simulated events, beside a learner that knows the simulator's laws and reads the same history."""

from __future__ import annotations

import os

import duckdb
import numpy as np

from benchmarks import informed_learner
from benchmarks.athena_sql import on_duckdb
from benchmarks.pipeline import ROOT, Figure
from demo.simulator import World, simulate
from visitcast.data.dataset import Dataset, concatenate, select_users, user_of_row
from visitcast.data.protocol import eligible_rows, split
from visitcast.data.visits import read_visits
from visitcast.evaluation.bootstrap import bootstrap_by_user
from visitcast.features.histograms import decayed_histograms
from visitcast.forecasting import forecaster
from visitcast.metrics import log_losses
from visitcast.model.baselines import tuned_histogram
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.learner import GruLearner
from visitcast.training.fitting import fit

WORLD = World()
COMPARED_USERS = 600
QUICK = World(users=120, days=90)


def measure(quick: bool = False) -> list[Figure]:
    """Train on a simulated world and compare on the test rows of some of its users."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    world = QUICK if quick else WORLD
    dataset = visit_days(world)
    parts = split(dataset)
    fitted = fit(dataset, parts, learner=GruLearner(Hyperparameters(epochs=1 if quick else 0)))

    count = min(COMPARED_USERS, dataset.users)
    compared = select_users(dataset, np.sort(np.random.default_rng(1).choice(dataset.users, count, replace=False)))
    eligible = eligible_rows(compared)
    test = eligible[compared.visit_date[eligible] >= parts.test_starts]
    hour, counts = compared.first_visit_hour[test], decayed_histograms(compared)
    model = log_losses(forecaster.forecast(fitted, compared, test, counts).first_visit_hour, hour)
    tuned = log_losses(tuned_histogram.predict(fitted.histogram, compared.visit_date[test], counts[test]), hour)
    learner = log_losses(informed_learner.forecast(compared, world.days)[test], hour)
    users = user_of_row(compared)[test]
    behind = bootstrap_by_user(model - learner, users)
    subject = "simulated world"
    return [
        Figure(subject, "users", dataset.users, ""),
        Figure(subject, "test rows compared", len(test), ""),
        Figure(subject, "log loss, tuned histogram", float(tuned.mean()), "nats"),
        Figure(subject, "log loss, model", float(model.mean()), "nats"),
        Figure(subject, "log loss, learner that knows the laws", float(learner.mean()), "nats"),
        Figure(subject, "model - this learner", behind.mean, "nats", "<= 0.02"),
        Figure(subject, "model - this learner, 2.5%", behind.low, "nats"),
        Figure(subject, "model - this learner, 97.5%", behind.high, "nats"),
    ]


def visit_days(world: World) -> Dataset:
    """Simulate events and turn them into visit days with the application's own SQL, block by block."""
    query = on_duckdb((ROOT / "sql" / "visits.sql").read_text(encoding="utf-8"))
    with duckdb.connect() as connection:
        blocks = []
        for block in simulate(world):
            connection.register("events", block.events)
            blocks.append(read_visits(connection.sql(query).to_df()))
    return concatenate(blocks)
