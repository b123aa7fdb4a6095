"""Forecasters without a network, which a model must beat on the same rows in the same job.

Each module has ``predict(...)`` and, if there is something to learn, ``fit(...)``, which reads training and validation
rows only.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset
from visitcast.data.protocol import Split
from visitcast.metrics import Outcomes, Scores, point_outcomes, probability_outcomes, summarise
from visitcast.model.baselines import global_histogram, last_hour, tuned_histogram, user_histogram

GLOBAL_HISTOGRAM: Final = "global_histogram"
LAST_HOUR: Final = "last_hour"
USER_HISTOGRAM: Final = "user_histogram"
TUNED_HISTOGRAM: Final = "tuned_histogram"
ARTICLE_GRU: Final = "article_gru"
"""Needs TensorFlow; lives in the training image."""
BASELINES: Final = (GLOBAL_HISTOGRAM, LAST_HOUR, USER_HISTOGRAM, TUNED_HISTOGRAM, ARTICLE_GRU)


def baseline_outcomes(dataset: Dataset, split: Split, histograms: NDArray[np.float32]) -> dict[str, Outcomes]:
    """Fit every baseline of this package and compare its forecasts of the test rows with the actual visits.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    split : Split
        Rows to learn from and to score.
    histograms : float32 array [N, len(Channel), 24]
        ``decayed_histograms(dataset)``.
    """
    first_hour, mask = dataset.first_visit_hour[split.test], dataset.hourly_visits[split.test]
    shares = global_histogram.fit(dataset, split)
    user = user_histogram.fit(dataset, split, histograms)
    tuned = tuned_histogram.fit(dataset, split, histograms[split.validation])
    return {
        GLOBAL_HISTOGRAM: probability_outcomes(global_histogram.predict(shares, split.test), first_hour, mask),
        LAST_HOUR: point_outcomes(last_hour.predict(dataset, split.test), first_hour, mask),
        USER_HISTOGRAM: probability_outcomes(user_histogram.predict(user, histograms[split.test]), first_hour, mask),
        TUNED_HISTOGRAM: probability_outcomes(
            tuned_histogram.predict(tuned, dataset.visit_date[split.test], histograms[split.test]),
            first_hour,
            mask,
            best_hour=tuned_histogram.visit_hours(tuned, histograms[split.test]).argmax(axis=1),
        ),
    }


def score_baselines(dataset: Dataset, split: Split, histograms: NDArray[np.float32]) -> dict[str, Scores]:
    """Return the metrics of :func:`baseline_outcomes`."""
    return {name: summarise(rows) for name, rows in baseline_outcomes(dataset, split, histograms).items()}
