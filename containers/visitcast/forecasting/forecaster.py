"""Forecast from a fitted bundle and users' visit days. Evaluation and serving share it, so they cannot differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, known_days, position_in_history
from visitcast.data.protocol import MINIMUM_HISTORY
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
    from_model : bool array [rows]
        False where the history is too short for the scorer and the histogram alone answers.
    visit_probability : float32 array [rows]
        Probability that the user comes that day; NaN for a user without any visit day.
    """

    first_visit_hour: NDArray[np.float32]
    visit_hour: NDArray[np.float32]
    from_model: NDArray[np.bool_]
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

    @property
    def source(self) -> NDArray[np.str_]:
        """One of ``schema.SOURCES`` for each row, [rows]."""
        return np.where(self.from_model, schema.MODEL, schema.PRIOR)


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
    return _forecast(bundle, dataset, rows, counts[rows], None)


def forecast_last(bundle: Bundle, dataset: Dataset, known_until: NDArray[np.int32] | None = None) -> Forecast:
    """Forecast every user's last row, as :func:`forecast` does, without computing the histograms of the rows before.

    Parameters
    ----------
    bundle : Bundle
        Fitted model.
    dataset : Dataset
        Visit days, with target days appended by :func:`visitcast.data.dataset.with_target_days`.
    known_until : int32 array [U], optional
        Last date of each user whose visits are complete, days since 1970-01-01, before the target day. Later visit days
        are not used: a day that is not over looks like one without the visits to come. Default: the day before the
        target day.
    """
    known = dataset if known_until is None else known_days(dataset, known_until)
    return _forecast(bundle, known, known.offsets[1:] - 1, last_histograms(known), known_until)


def _forecast(
    bundle: Bundle,
    dataset: Dataset,
    rows: NDArray[np.int64],
    counts: NDArray[np.float32],
    known_until: NDArray[np.int32] | None,
) -> Forecast:
    """Forecast rows from the histograms [rows, len(Channel), 24] before them."""
    made = tuned_histogram.probabilities(bundle.histogram, dataset.visit_date[rows], counts)

    eve = dataset.visit_date[rows] - 1
    until = eve if known_until is None else known_until
    eve_hidden = until < eve
    history = position_in_history(dataset, rows)
    from_model = history >= MINIMUM_HISTORY
    for blend, wanted in ((bundle.eve_known, ~eve_hidden), (bundle.eve_hidden, eve_hidden)):
        here = np.flatnonzero(from_model & wanted)
        if len(here) == 0:
            continue
        scored = probabilities(bundle.scorer.logits(dataset, rows[here], counts[here], eve_hidden[here]))
        mixed = mixture.blend(blend.mixture, history[here], scored, Probabilities(*(kind[here] for kind in made)))
        for kind, calibrated in zip(made, calibration.apply(blend.calibration, mixed), strict=True):
            kind[here] = calibrated
    comes = visit_probability.predict(bundle.visit_probability, dataset, rows, until)
    return Forecast(made.first_hour, any_visit(made), from_model, comes)
