"""Features of visit days, and the scikit-learn transformers that give them. The same code trains and serves.

Two groups. *History* features describe a visit day as it was: a sequence model reads row t - 1 to forecast row t.
*Target* features are known before a day begins: its calendar, the days since the last visit, and the user's decayed
histograms, which use earlier days only. To forecast a coming day, append it with
:func:`visitcast.data.dataset.with_target_days` and read the target features of that row.

Sines come from tables and sums keep their order, so a user alone gets the same bits as among others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from visitcast.data import schema
from visitcast.data.dataset import Dataset, hour_flags
from visitcast.features import day_statistics
from visitcast.features.day_statistics import DayStatistics
from visitcast.features.encoding import Encoding, Step
from visitcast.features.frames import (
    AMOUNTS,
    DAY_OF_MONTH,
    DAY_OF_WEEK,
    EARLIER_VISIT_DAYS,
    GAP,
    GAP_FLAGS,
    LAST_HOUR_YESTERDAY,
    MONTH,
    WEEKEND,
    history_columns,
    history_frame,
    target_columns,
    target_frame,
)
from visitcast.features.histogram_features import histogram_feature_names, histogram_features, log_prior
from visitcast.features.histograms import decayed_histograms

_LOGS: Final = (*AMOUNTS, GAP, EARLIER_VISIT_DAYS)
"""Scaled after taking the logarithm."""
_PLAIN: Final = (schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR, DAY_OF_MONTH, MONTH)
"""Scaled as they are."""


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
    return fit_statistics(summarise(dataset), before)


def summarise(dataset: Dataset) -> DayStatistics:
    """Sum up what :func:`fit_statistics` needs of some users; ``day_statistics.merge`` adds those of others."""
    columns = {**history_columns(dataset), **target_columns(dataset)}
    logs = [np.log1p(columns[name], dtype=np.float64) for name in _LOGS]
    return day_statistics.summarise(dataset, [*logs, *(columns[name] for name in _PLAIN)])


def summarise_nothing() -> DayStatistics:
    """Give the statistics of no users."""
    return day_statistics.empty(len(_LOGS) + len(_PLAIN))


def fit_statistics(statistics: DayStatistics, before: int) -> FeaturePipeline:
    """Fit as :func:`fit` does, from what :func:`summarise` gave for all users: to the last bit the same.

    Scalers get their mean and variance; encoders have all their categories from the start.
    """
    known = day_statistics.before(statistics, before)
    rows = known.visit_days.sum()
    moments = dict(zip((*_LOGS, *_PLAIN), np.stack(day_statistics.mean_and_variance(known), axis=1), strict=True))
    history, target = _history_transformer(), _target_transformer()
    # Two days of one user show the transformers the columns' names and types.
    history.fit(history_frame(_TWO_DAYS))
    target.fit(target_frame(_TWO_DAYS))
    for transformer in (history, target):
        for _name, step, columns in transformer.transformers_:
            scaler = step[-1] if isinstance(step, Pipeline) else step
            if isinstance(scaler, StandardScaler):
                _set_moments(scaler, np.array([moments[column] for column in columns]), int(rows))
    first_hours = known.first_hours.sum(axis=0) + 1.0
    return FeaturePipeline(
        history=history,
        target=target,
        first_hour_shares=(first_hours / first_hours.sum()).astype(np.float32),
        visited_shares=((known.visited_hours.sum(axis=0) + 1) / (rows + 1)).astype(np.float32),
    )


def _set_moments(scaler: StandardScaler, moments: NDArray[np.float64], rows: int) -> None:
    """Put a scaler into the state that its own fit leaves; a constant column keeps its scale."""
    scaler.mean_, scaler.var_ = moments[:, 0].copy(), moments[:, 1].copy()
    scaler.scale_ = np.where(scaler.var_ > 0, np.sqrt(scaler.var_), 1.0)
    scaler.n_samples_seen_ = np.int64(rows)


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
    logs = log_prior(pipeline.first_hour_shares, counts)
    target = [
        np.asarray(pipeline.target.transform(target_frame(dataset)), dtype=np.float32),
        *histogram_features(pipeline.first_hour_shares, pipeline.visited_shares, counts, logs),
    ]
    return Features(
        history=np.asarray(pipeline.history.transform(history_frame(dataset)), dtype=np.float32),
        target=np.concatenate(target, axis=1),
        log_prior=logs,
    )


def feature_names(pipeline: FeaturePipeline) -> tuple[list[str], list[str]]:
    """Names of the history and of the target features, in the order of their columns."""
    return (
        list(pipeline.history.get_feature_names_out()),
        [*pipeline.target.get_feature_names_out(), *histogram_feature_names()],
    )


def export(pipeline: FeaturePipeline) -> Encoding:
    """Read the numbers out of a fitted pipeline, for :mod:`visitcast.features.encoding`.

    Raises
    ------
    TypeError
        The pipeline holds a transformer of a kind that :mod:`visitcast.features.encoding` does not know.
    """
    history, target = (
        tuple(_step(fitted, tuple(columns)) for _, fitted, columns in transformer.transformers_)
        for transformer in (pipeline.history, pipeline.target)
    )
    return Encoding(history, target, pipeline.first_hour_shares, pipeline.visited_shares)


def _step(fitted: Any, columns: tuple[str, ...]) -> Step:
    match fitted:
        case StandardScaler():
            return Step("scaled", columns, *_moments(fitted))
        case Pipeline(steps=[(_, FunctionTransformer(func=np.log1p)), (_, StandardScaler() as scaler)]):
            return Step("log_scaled", columns, *_moments(scaler))
        case OneHotEncoder(categories_=[values]) if list(values) == list(range(len(values))):
            return Step("one_hot", columns, size=len(values))
        case FunctionTransformer(func=function, kw_args=arguments) if function is _sine_and_cosine:
            return Step("circle", columns, size=arguments["period"])
        case FunctionTransformer(func=function) if function is _flags_of_frame:
            return Step("hour_flags", columns)
        case FunctionTransformer(func=None):
            return Step("copied", columns)
    raise TypeError(f"visitcast.features.encoding has no counterpart of {fitted!r}: add one there.")


def _moments(scaler: StandardScaler) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(scaler.mean_.tolist()), tuple(scaler.scale_.tolist())


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


def _two_days() -> Dataset:
    """Make a user with two visit days."""
    zeros = np.zeros(2, dtype=np.int32)
    return Dataset(
        user_ids=np.array(["nobody"]),
        offsets=np.array([0, 2]),
        visit_date=np.arange(2, dtype=np.int32),
        first_visit_hour=zeros.astype(np.int8),
        last_visit_hour=zeros.astype(np.int8),
        hourly_visits=zeros + 1,
        total_time_spent_s=zeros,
        total_page_views=zeros,
        page_views_by_type=np.zeros((2, len(schema.PAGE_VIEWS_BY_TYPE)), dtype=np.int32),
        platform=zeros.astype(np.int8),
        utc_offset_minutes=zeros.astype(np.int16),
    )


_TWO_DAYS: Final = _two_days()
