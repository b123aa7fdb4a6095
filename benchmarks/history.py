"""How much of a user's history the daily workflow should read: forecasts as the schedule makes them, by what they read.

The test rows and the model are the same for all lengths; differences are from the whole history, paired, by user.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import quality, simulated
from benchmarks.pipeline import Figure
from demo.simulator import World
from visitcast.data.dataset import Dataset, user_of_row
from visitcast.data.protocol import split
from visitcast.evaluation.as_sent import blocks
from visitcast.evaluation.bootstrap import bootstrap_by_user
from visitcast.forecasting.forecaster import forecast_last
from visitcast.metrics import log_losses
from visitcast.model.bundle import Bundle
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.learner import GruLearner
from visitcast.training.fitting import fit

VISIT_DAYS = (25, 50, 100, 150, 200, 300, 400)
CALENDAR_DAYS = (90, 180, 365, 730)
WHOLE = 2**31 - 1


def measure(events: Path | None, quick: bool = False) -> list[Figure]:
    """Fit on simulated users and, if given, on a file of events, and forecast the test rows from shorter histories."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    figures = list(
        of_dataset("simulated world", simulated.visit_days(simulated.QUICK if quick else World(users=2_000)), quick)
    )
    if events is not None:
        figures += of_dataset(events.name, quality.visit_days(events), quick)
    return figures


def of_dataset(subject: str, dataset: Dataset, quick: bool) -> Iterator[Figure]:
    """Yield the log loss from the whole history and, of shorter ones, what it is higher by."""
    parts = split(dataset)
    fitted = fit(dataset, parts, learner=GruLearner(Hyperparameters(epochs=1 if quick else 0)))
    yield from lengths(subject, fitted, dataset, parts.test)


def lengths(subject: str, model: Bundle, dataset: Dataset, rows: NDArray[np.int64]) -> Iterator[Figure]:
    """Compare the lengths on some rows."""
    whole, read = losses(model, dataset, rows, WHOLE, WHOLE)
    yield Figure(subject, "whole history: log loss", float(whole.mean()), "nats")
    yield Figure(subject, "whole history: visit days read a row", float(read.mean()), "")
    users = user_of_row(dataset)[rows]
    for name, visit_days, calendar_days in (
        *((f"last {days} visit days", days, WHOLE) for days in VISIT_DAYS),
        *((f"last {days} calendar days", WHOLE, days) for days in CALENDAR_DAYS),
    ):
        shorter, read = losses(model, dataset, rows, visit_days, calendar_days)
        difference = bootstrap_by_user(shorter - whole, users)
        yield Figure(subject, f"{name}: visit days read a row", float(read.mean()), "")
        yield Figure(subject, f"{name}: log loss - whole history's", difference.mean, "nats", "<= 0.001")
        yield Figure(subject, f"{name}: log loss - whole history's, 2.5%", difference.low, "nats")
        yield Figure(subject, f"{name}: log loss - whole history's, 97.5%", difference.high, "nats")


def losses(
    model: Bundle, dataset: Dataset, rows: NDArray[np.int64], visit_days: int, calendar_days: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return log loss and visit days read of each row, forecast as the schedule does from a part of the history."""
    loss, read = np.empty(len(rows)), np.empty(len(rows), dtype=np.int64)
    for places, known in blocks(dataset, user_of_row(dataset)[rows], dataset.visit_date[rows], visit_days):
        shorter = last_calendar_days(known.dataset, calendar_days)
        forecast = forecast_last(model, shorter, known.as_of)
        loss[places] = log_losses(forecast.first_visit_hour, dataset.first_visit_hour[rows[places]])
        read[places] = np.diff(shorter.offsets) - 1
    return loss, read


def last_calendar_days(dataset: Dataset, days: int) -> Dataset:
    """Keep of each user the visit days of the last calendar days before the last row, and this row."""
    date = dataset.visit_date.astype(np.int64)
    kept = date >= np.repeat(date[dataset.offsets[1:] - 1], np.diff(dataset.offsets)) - days
    offsets = np.concatenate([[0], np.cumsum(kept)])[dataset.offsets]
    return replace(dataset, offsets=offsets, columns={name: values[kept] for name, values in dataset.columns.items()})
