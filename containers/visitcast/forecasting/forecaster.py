"""Forecast from a fitted bundle and users' visit days. Evaluation and serving share it, so they cannot differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, position_in_history
from visitcast.data.protocol import MINIMUM_HISTORY
from visitcast.data.schedule import MINUTES_A_DAY, hours_known, known_at, over_everywhere
from visitcast.data.schema import HOURS
from visitcast.features.histograms import decayed_histograms, last_histograms
from visitcast.model import calibration, mixture, visit_probability
from visitcast.model.baselines import tuned_histogram
from visitcast.model.bundle import Bundle
from visitcast.model.logits import Probabilities, any_visit, probabilities


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecasts of some rows.

    Attributes
    ----------
    first_visit_hour : float32 array [rows, 24]
        Chance that the day's first visit falls in the hour; sums to 1.
    visit_hour : float32 array [rows, 24]
        Chance of a visit in the hour, given that the user comes that day; each in 0..1, and never below that of the
        first visit.
    source : str array [rows]
        One of ``schema.SOURCES`` for each row: where the history is too short for the scorer, and where the bundle has
        the baseline only, the histogram alone answers.
    visit_probability : float32 array [rows]
        Probability that the user comes that day; NaN for a user without any visit day.
    """

    first_visit_hour: NDArray[np.float32]
    visit_hour: NDArray[np.float32]
    source: NDArray[np.str_]
    visit_probability: NDArray[np.float32]

    @property
    def best_hour(self) -> NDArray[np.int64]:
        """Hour with the highest chance of a visit, int64 array [rows]."""
        hours: NDArray[np.int64] = self.visit_hour.argmax(axis=1)
        return hours

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Chance of a visit in the best hour, [rows]."""
        chances: NDArray[np.float32] = self.visit_hour.max(axis=1)
        return chances


def forecast(
    bundle: Bundle, dataset: Dataset, rows: NDArray[np.int64], histograms: NDArray[np.float32] | None = None
) -> Forecast:
    """Forecast some rows of a dataset from the days before them.

    Parameters
    ----------
    bundle : Bundle
        Fitted model.
    dataset : Dataset
        Visit days; rows to forecast may be target days (see :func:`visitcast.data.dataset.with_target_days`).
    rows : int64 array [rows]
        Rows to forecast, ascending.
    histograms : float32 array [N, len(Channel), 24], optional
        ``decayed_histograms(dataset)``, if the caller has it already.
    """
    counts = decayed_histograms(dataset) if histograms is None else histograms
    return _forecast(bundle, dataset, rows, counts[rows], over_everywhere(dataset.visit_date[rows]))


def forecast_last(bundle: Bundle, dataset: Dataset, as_of: NDArray[np.int64] | None = None) -> Forecast:
    """Forecast every user's last row, as :func:`forecast` does, without computing the histograms of the rows before.

    Parameters
    ----------
    bundle : Bundle
        Fitted model.
    dataset : Dataset
        Visit days, with target days appended by :func:`visitcast.data.dataset.with_target_days`.
    as_of : int64 array [U], optional
        Instant of each user at which the data end, minutes since 1970-01-01T00:00Z; later visits are not used. A user's
        local time is that of the last visit day. Default: all days before the target day are over.
    """
    if as_of is None:
        as_of = over_everywhere(dataset.visit_date[dataset.offsets[1:] - 1])
    known = known_at(dataset, as_of)
    return _forecast(bundle, known, known.offsets[1:] - 1, last_histograms(known), as_of)


def _forecast(
    bundle: Bundle,
    dataset: Dataset,
    rows: NDArray[np.int64],
    counts: NDArray[np.float32],
    as_of: NDArray[np.int64],
) -> Forecast:
    """Forecast rows from the histograms [rows, len(Channel), 24] before them."""
    made = tuned_histogram.probabilities(bundle.histogram, dataset.visit_date[rows], counts)
    history = position_in_history(dataset, rows)
    last_known, hours = _last_known(dataset, rows, history, as_of)
    rest = (made.first_hour * (np.arange(HOURS) >= hours[:, None])).sum(axis=1)
    comes = visit_probability.predict(bundle.visit_probability, dataset, rows, last_known, rest)

    eve_hours = np.where(last_known == dataset.visit_date[rows] - 1, hours, 0.0)
    unfinished = eve_hours < HOURS
    long_enough = history >= MINIMUM_HISTORY
    source = np.where(long_enough, schema.BASELINE if bundle.baseline_only else schema.MODEL, schema.PRIOR)
    for blend, wanted in ((bundle.eve_over, ~unfinished), (bundle.eve_unfinished, unfinished)):
        here = np.flatnonzero((source == schema.MODEL) & wanted)
        if len(here) == 0:
            continue
        scored = probabilities(bundle.scorer.logits(dataset, rows[here], counts[here], eve_hours[here]))
        mixed = mixture.blend(blend.mixture, history[here], scored, Probabilities(*(kind[here] for kind in made)))
        for kind, calibrated in zip(made, calibration.apply(blend.calibration, mixed), strict=True):
            kind[here] = calibrated
    return Forecast(made.first_hour, any_visit(made), source, comes)


def _last_known(
    dataset: Dataset, rows: NDArray[np.int64], history: NDArray[np.int64], as_of: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the last local date before each row's of which hours are known, and how many hours, [rows] each."""
    eve = dataset.visit_date[rows].astype(np.int64) - 1
    offset = np.where(history > 0, dataset.utc_offset_minutes[rows - 1], 0)
    date = np.minimum((as_of + offset - 1) // MINUTES_A_DAY, eve)
    return date, hours_known(date, offset, as_of)
