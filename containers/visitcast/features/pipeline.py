"""The scikit-learn transformer that preprocessing fits and saves as ``transformer.joblib``."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from visitcast.data.dataset import Dataset
from visitcast.features import encoding
from visitcast.features.day_statistics import SCALED_NAMES, DayStatistics, pooled_before, summarise
from visitcast.features.encoding import Encoding

_EPSILON: Final = np.finfo(np.float64).eps


class FeaturePipeline(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Compute features of visit days, fitted on the days before a date, so that nothing leaks in from later days.

    Parameters
    ----------
    before : int
        First day not to learn from (days since 1970-01-01), ``Split.validation_starts``. A cross-validation fold must
        fit again with its own.

    Attributes
    ----------
    encoding_ : Encoding
        What was fitted.
    """

    def __init__(self, before: int) -> None:
        self.before = before

    def fit(self, X: Dataset, y: None = None) -> FeaturePipeline:  # noqa: ARG002 (scikit-learn passes it)
        """Fit on the visit days of a dataset."""
        return self.fit_statistics(summarise(X))

    def fit_statistics(self, statistics: DayStatistics) -> FeaturePipeline:
        """Fit as :meth:`fit` does, from the merged statistics of all users.

        The scaling agrees with that of :meth:`fit` within 1e-12 of its size, and the hours' shares agree exactly.
        """
        known = pooled_before(statistics, self.before)
        rows = int(known.visit_days[0])
        mean, variance = known.means[0], known.squares[0] / rows
        # Rounding alone gives a constant column a variance; scikit-learn's StandardScaler has the same bound.
        constant = variance <= rows * _EPSILON * variance + (rows * mean * _EPSILON) ** 2
        deviation = np.where(constant, 1.0, np.sqrt(variance))
        first_hours = known.first_hours[0] + 1.0
        self.encoding_ = Encoding(
            scaling=dict(zip(SCALED_NAMES, zip(mean.tolist(), deviation.tolist(), strict=True), strict=True)),
            first_hour_shares=(first_hours / first_hours.sum()).astype(np.float32),
            visited_shares=((known.visited_hours[0] + 1) / (rows + 1)).astype(np.float32),
        )
        return self

    def transform(self, X: Dataset) -> NDArray[np.float32]:
        """Compute the features of every visit day, history and target side by side, [N, F_history + F_target]."""
        features = encoding.transform(self.encoding_, X)
        return np.concatenate([features.history, features.target], axis=1)

    def get_feature_names_out(self, input_features: None = None) -> NDArray[np.object_]:  # noqa: ARG002 (scikit-learn passes it)
        """Return the names of the columns of :meth:`transform`."""
        return np.array([*encoding.history_names(), *encoding.target_names()], dtype=object)
