"""The features of the same visit days by visitcast and by pandas: equal, and how much faster."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from benchmarks import pandas_oracle
from benchmarks.pipeline import Figure
from visitcast.data import protocol, schema
from visitcast.data.dataset import Dataset, user_of_row
from visitcast.features import pipeline as features

TOLERANCE = 1e-6
"""Features are float32 and reach about ten, so this is a unit or two of their last place."""


def compare(dataset: Dataset) -> list[Figure]:
    """Compute all features both ways and take the times.

    Raises
    ------
    AssertionError
        They differ.
    """
    pipeline = features.fit(dataset, before=protocol.split(dataset).validation_starts)
    visits, fitted = frame_of(dataset), fitted_numbers(pipeline)
    names = features.feature_names(pipeline)

    start = time.perf_counter()
    ours = features.transform(pipeline, dataset)
    our_seconds = time.perf_counter() - start
    start = time.perf_counter()
    history, target, log_prior = pandas_oracle.features(visits, fitted, *names)
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
    return pd.DataFrame(
        {
            schema.USER_ID: dataset.user_ids[user_of_row(dataset)],
            schema.VISIT_DATE: dataset.visit_date.astype("datetime64[D]").astype(str),
            schema.TOTAL_TIME_SPENT_S: dataset.total_time_spent_s,
            schema.TOTAL_PAGE_VIEWS: dataset.total_page_views,
            **dict(zip(schema.PAGE_VIEWS_BY_TYPE, dataset.page_views_by_type.T, strict=True)),
            schema.FIRST_VISIT_HOUR: dataset.first_visit_hour,
            schema.LAST_VISIT_HOUR: dataset.last_visit_hour,
            schema.HOURLY_VISITS: dataset.hourly_visits,
            schema.PLATFORM: np.array(schema.PLATFORMS)[dataset.platform],
            schema.UTC_OFFSET_MINUTES: dataset.utc_offset_minutes,
        }
    ).astype(dict.fromkeys((schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR, schema.HOURLY_VISITS), "int64"))


def fitted_numbers(pipeline: features.FeaturePipeline) -> pandas_oracle.Fitted:
    """Take the fitted numbers out of a pipeline."""
    scale: dict[str, tuple[float, float]] = {}
    for transformer in (pipeline.history, pipeline.target):
        for name, step, columns in transformer.transformers_:
            scaler = step[-1] if isinstance(step, Pipeline) else step
            if hasattr(scaler, "scale_"):
                moments = zip(scaler.mean_, scaler.scale_, strict=True)
                scale |= {f"{name}__{column}": pair for column, pair in zip(columns, moments, strict=True)}
    return pandas_oracle.Fitted(scale, pipeline.first_hour_shares, pipeline.visited_shares)
