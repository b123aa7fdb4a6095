"""Compute the features of the same visit days by visitcast and by pandas: compare results and times."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from benchmarks.pipeline import Figure
from tests.unit import pandas_oracle
from visitcast.data import protocol, schema
from visitcast.data.dataset import Dataset, user_of_row
from visitcast.features import encoding
from visitcast.features.pipeline import FeaturePipeline

TOLERANCE = 1e-6
"""Features are float32 and reach about ten, so this is one or two units in the last place."""


def compare(dataset: Dataset) -> list[Figure]:
    """Compute all features both ways and measure the times.

    Raises
    ------
    AssertionError
        They differ.
    """
    fitted = FeaturePipeline(protocol.split(dataset).validation_starts).fit(dataset).encoding_
    visits, names = frame_of(dataset), (encoding.history_names(), encoding.target_names())
    numbers = pandas_oracle.Fitted(fitted.scaling, fitted.first_hour_shares, fitted.visited_shares)

    start = time.perf_counter()
    ours = encoding.transform(fitted, dataset)
    our_seconds = time.perf_counter() - start
    start = time.perf_counter()
    history, target, log_prior = pandas_oracle.features(visits, numbers, *names)
    pandas_seconds = time.perf_counter() - start

    difference = 0.0
    for one, other in ((ours.history, history), (ours.target, target), (ours.log_prior, log_prior)):
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)
        difference = max(difference, float(np.abs(one - other).max()))
    subject = f"features of {dataset.visit_days:,} visit days"
    return [
        Figure(subject, "visitcast", our_seconds, "s"),
        Figure(subject, "pandas groupby/apply", pandas_seconds, "s"),
        Figure(subject, "visitcast against pandas", pandas_seconds / our_seconds, "x faster", ">= 10"),
        Figure(subject, "largest difference", difference, "", f"< {TOLERANCE:g}"),
    ]


def frame_of(dataset: Dataset) -> pd.DataFrame:
    """Turn a dataset back into rows of the visits table."""
    columns = {
        **dataset.columns,
        schema.USER_ID: dataset.user_ids[user_of_row(dataset)],
        schema.VISIT_DATE: dataset.visit_date.astype("datetime64[D]").astype(str),
        schema.PLATFORM: np.array(schema.PLATFORMS)[dataset.platform],
    }
    return pd.DataFrame(columns).astype({column.name: "int64" for column in schema.VISITS if column.kind == "integer"})
