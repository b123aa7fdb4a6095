"""Features of visit days, and the scikit-learn transformers that give them. The same code trains and serves.

Two groups. *History* features describe a visit day as it was: a sequence model reads row t - 1 to forecast row t.
*Target* features are known before a day begins: its calendar, the days since the last visit, and the user's decayed
histograms, which use earlier days only. To forecast a coming day, append it with
:func:`visitcast.dataset.with_target_days` and read the target features of that row.

Sines come from tables and sums keep their order, so a user alone gets the same bits as among others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from visitcast import schema
from visitcast.dataset import Dataset, hour_flags
from visitcast.frames import (
    AMOUNTS,
    DAY_OF_MONTH,
    DAY_OF_WEEK,
    EARLIER_VISIT_DAYS,
    GAP,
    GAP_FLAGS,
    LAST_HOUR_YESTERDAY,
    MONTH,
    WEEKEND,
    history_frame,
    target_frame,
)
from visitcast.histograms import Channel, decayed_histograms, shares, smooth, visit_days_behind

PRIOR_WEIGHT: Final = 8
"""Visit days that the hour shares over all users are worth in a user's shares."""
KERNEL_WIDTH_HOURS: Final = 0.8

_SHARES_OF: Final = tuple(channel for channel in Channel if channel is not Channel.FIRST_40)
_WEIGHT_OF: Final = (
    Channel.FIRST_ALL,
    Channel.FIRST_40,
    Channel.FIRST_30_CALENDAR_DAYS,
    Channel.FIRST_SAME_DAY_TYPE_40,
)


@dataclass(frozen=True)
class FeaturePipeline:
    """Everything fitted; saved as ``transformer.joblib`` and reused unchanged at serving.

    Attributes
    ----------
    history, target : ColumnTransformer
        From the frames of :func:`history_frame` and :func:`target_frame` to numbers.
    first_hour_shares, visited_shares : float32 arrays [24]
        Over all users: share of the days whose first visit fell in the hour (sums to 1), and share of the days on
        which the hour was visited.
    """

    history: ColumnTransformer
    target: ColumnTransformer
    first_hour_shares: NDArray[np.float32]
    visited_shares: NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """Features of N visit days.

    Attributes
    ----------
    history : float32 array [N, F_history]
        What happened on the day. Never an input to the forecast of the same row.
    target : float32 array [N, F_target]
        What is known before the day.
    log_prior : float32 array [N, 24]
        Log of the user's smoothed first-hour shares before the day; a network may add it to its logits.
    """

    history: NDArray[np.float32]
    target: NDArray[np.float32]
    log_prior: NDArray[np.float32]


def fit(dataset: Dataset, before: int) -> FeaturePipeline:
    """Fit on the visit days before a date, so that nothing of the days to be judged leaks in.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    before : int
        First day not to learn from, ``Split.validation_starts``. A cross-validation fold must fit anew with its own.
    """
    rows = np.flatnonzero(dataset.visit_date < before)
    first_hours = np.bincount(dataset.first_visit_hour[rows], minlength=schema.HOURS) + 1.0
    return FeaturePipeline(
        history=_history_transformer().fit(history_frame(dataset).iloc[rows]),
        target=_target_transformer().fit(target_frame(dataset).iloc[rows]),
        first_hour_shares=(first_hours / first_hours.sum()).astype(np.float32),
        visited_shares=((hour_flags(dataset.hourly_visits[rows]).sum(axis=0) + 1) / (len(rows) + 1)).astype(np.float32),
    )


def transform(pipeline: FeaturePipeline, dataset: Dataset, histograms: NDArray[np.float32] | None = None) -> Features:
    """Features of every row of a dataset.

    Parameters
    ----------
    pipeline : FeaturePipeline
        What :func:`fit` gave.
    dataset : Dataset
        Visit days, possibly with target days appended.
    histograms : float32 array [N, len(Channel), 24], optional
        ``decayed_histograms(dataset)``, where the caller has it already.
    """
    counts = decayed_histograms(dataset) if histograms is None else histograms
    log_prior = np.log(
        shares(smooth(counts[:, Channel.FIRST_40], KERNEL_WIDTH_HOURS), pipeline.first_hour_shares, PRIOR_WEIGHT)
    )
    target = [
        np.asarray(pipeline.target.transform(target_frame(dataset)), dtype=np.float32),
        log_prior + 3,  # Log of 1/24 is about -3: centred on zero.
        *_histogram_features(pipeline, counts),
    ]
    return Features(
        history=np.asarray(pipeline.history.transform(history_frame(dataset)), dtype=np.float32),
        target=np.concatenate(target, axis=1),
        log_prior=log_prior,
    )


def feature_names(pipeline: FeaturePipeline) -> tuple[list[str], list[str]]:
    """Names of the history and of the target features, in the order of their columns."""
    hours = range(schema.HOURS)
    histogram_names = [f"{channel.name.lower()}_{hour}" for channel in _SHARES_OF for hour in hours]
    return (
        list(pipeline.history.get_feature_names_out()),
        [
            *pipeline.target.get_feature_names_out(),
            *(f"log_prior_{hour}" for hour in hours),
            *histogram_names,
            *(f"{channel.name.lower()}_weight" for channel in _WEIGHT_OF),
        ],
    )


def _histogram_features(pipeline: FeaturePipeline, counts: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    columns = []
    for channel in _SHARES_OF:
        if channel in (Channel.VISITED_ALL, Channel.VISITED_15):
            prior, days = pipeline.visited_shares, visit_days_behind(channel, counts)
        else:
            prior, days = pipeline.first_hour_shares, None
        # Shares are about 1/24: ten times that is near the other features' scale.
        columns.append(10 * shares(counts[:, channel], prior, PRIOR_WEIGHT, days))
    weights = counts[:, list(_WEIGHT_OF)].sum(axis=2)
    return [*columns, np.log1p(weights) / 3]


def _history_transformer() -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("amount", _log_scaler(), [*AMOUNTS, GAP]),
            ("scaled", StandardScaler(), [schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR, DAY_OF_MONTH, MONTH]),
            ("clock", _circle(schema.HOURS), [schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR]),
            ("first", _one_hot(schema.HOURS), [schema.FIRST_VISIT_HOUR]),
            ("visited", FunctionTransformer(_flags_of_frame, feature_names_out=_flag_names), [schema.HOURLY_VISITS]),
            ("weekday", _one_hot(7), [DAY_OF_WEEK]),
            ("platform", _one_hot(len(schema.PLATFORMS)), [schema.PLATFORM]),
            ("flag", "passthrough", list(GAP_FLAGS)),
        ],
    )


def _target_transformer() -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("amount", _log_scaler(), [GAP, EARLIER_VISIT_DAYS]),
            ("scaled", StandardScaler(), [DAY_OF_MONTH]),
            ("season", _circle(12), [MONTH]),
            ("weekday", _one_hot(7), [DAY_OF_WEEK]),
            ("night", _one_hot(schema.HOURS), [LAST_HOUR_YESTERDAY]),
            ("flag", "passthrough", [WEEKEND, *GAP_FLAGS]),
        ],
    )


def _log_scaler() -> Any:
    return make_pipeline(FunctionTransformer(np.log1p, feature_names_out="one-to-one"), StandardScaler())


def _one_hot(values: int) -> OneHotEncoder:
    """Columns for 0..values-1, whatever the training rows hold; any other value gives zeros."""
    return OneHotEncoder(categories=[list(range(values))], handle_unknown="ignore", sparse_output=False)


def _circle(period: int) -> FunctionTransformer:
    return FunctionTransformer(_sine_and_cosine, kw_args={"period": period}, feature_names_out=_circle_names)


def _sine_and_cosine(frame: pd.DataFrame, period: int) -> NDArray[np.float64]:
    angle = 2 * np.pi * np.arange(period) / period
    phase = frame.to_numpy() % period
    return np.concatenate([np.sin(angle)[phase], np.cos(angle)[phase]], axis=1)


def _circle_names(_transformer: FunctionTransformer, names: list[str]) -> list[str]:
    return [*(f"{name}_sine" for name in names), *(f"{name}_cosine" for name in names)]


def _flags_of_frame(frame: pd.DataFrame) -> NDArray[np.float32]:
    return hour_flags(frame.to_numpy()[:, 0])


def _flag_names(_transformer: FunctionTransformer, _names: list[str]) -> list[str]:
    return [f"hour_{hour}" for hour in range(schema.HOURS)]
