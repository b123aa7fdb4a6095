"""Evaluate a model on the test rows of a dataset, beside every baseline and the model in production."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visitcast.contract import progress
from visitcast.data.dataset import Dataset, position_in_history, require_dataset, user_of_row
from visitcast.data.protocol import Split, split
from visitcast.evaluation.as_sent import AsSent, as_sent, choose, forecast_outcomes
from visitcast.evaluation.as_sent import baseline_outcomes as as_sent_baselines
from visitcast.evaluation.assessment import AS_SENT, Contest, Precedent, Rival, assess
from visitcast.evaluation.gate import Limits
from visitcast.evaluation.groups import FEWEST_USERS, group_rows
from visitcast.evaluation.user_dates import forecast_user_dates
from visitcast.features.histograms import decayed_histograms
from visitcast.forecasting import forecaster
from visitcast.forecasting.profile import weekday_profiles
from visitcast.metrics import METRICS, Outcomes
from visitcast.model.baselines import TUNED_HISTOGRAM, baseline_outcomes
from visitcast.model.bundle import Bundle
from visitcast.training.folds import CrossValidation

if TYPE_CHECKING:
    import pandas as pd

MODEL = "model"


@dataclass(frozen=True, repr=False)
class Evaluation:
    """How a model and the baselines did on the same test rows. Prints as a table.

    Attributes
    ----------
    parts : Split
        The rows of each part, and the dates that split them.
    forecast : Forecast
        The model's of the test rows, as the schedule makes it.
    results : dict
        The keys of ``evaluation.json`` that docs/evaluation.md describes, all but ``data``.
    """

    parts: Split
    forecast: forecaster.Forecast
    results: dict[str, Any]

    @property
    def scores(self) -> pd.DataFrame:
        """Every metric (columns) of every forecaster (rows); NaN if it has no probabilities.

        Model and tuned histogram as the schedule forecasts come first, then all that read whole histories.
        """
        import pandas as pd

        sent = self.results[AS_SENT]
        rows = {
            f"{MODEL}, as sent": sent,
            f"{TUNED_HISTOGRAM}, as sent": sent["baselines"][TUNED_HISTOGRAM],
            MODEL: self.results[MODEL],
            **self.results["baselines"],
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=list(METRICS), dtype=np.float64)

    @property
    def differences(self) -> pd.DataFrame:
        """Model minus each baseline, as the schedule forecasts, with the ends of the paired 95% interval (by user)."""
        import pandas as pd

        rows = {
            (baseline, metric): difference
            for baseline, metrics in self.results[AS_SENT]["differences"].items()
            for metric, difference in metrics.items()
            if difference is not None
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def __repr__(self) -> str:
        first_day = np.datetime64(self.parts.test_starts, "D")
        table = self.scores.to_string(float_format="{:.3f}".format, na_rep="")
        return f"{len(self.parts.test):,} test rows from {first_day} on\n{table}"


def evaluate(
    model: Bundle,
    visits: Dataset,
    *,
    production: Bundle | None = None,
    not_compared: str = "",
    anchor_lead: float = 0.0,
    more_baselines: Mapping[str, Outcomes] | None = None,
    cross_validation: CrossValidation | None = None,
    limits: Limits | None = None,
) -> Evaluation:
    """Score a model on the test rows, beside the baselines, and return the gate's verdict.

    Parameters
    ----------
    model : Bundle
        Fitted on the training and validation rows of the same visits.
    visits : Dataset
        Visit days.
    production : Bundle, optional
        The model now in production, to compare with.
    not_compared : str
        Why `production` is None although a model is in production; the gate repeats it.
    anchor_lead : float
        Lead over the tuned histogram that the first accepted model had, in nats; 0 if there was none.
    more_baselines : mapping, optional
        Outcomes on the test rows of further forecasters, by name. They count as forecasts as sent too.
    cross_validation : CrossValidation, optional
        Scores of the folds.
    limits : Limits, optional
        What the model must reach. Default: that of a run whose input says nothing.

    Raises
    ------
    InputError
        No user has enough history, or `visits` is something else.
    """
    require_dataset(visits)
    parts = split(visits)
    progress(0.1, "forecasting the test rows")
    counts = decayed_histograms(visits)
    forecast = forecaster.forecast(model, visits, parts.test, counts)
    progress(0.2, "forecasting as the schedule does")
    models = [model] if production is None else [model, production]
    known = as_sent(visits, known_rows(visits, parts), models)
    test = np.isin(known.rows, parts.test)
    sent = AsSent(
        known.rows[test], known.histograms[test], known.last_hour[test], [choose(one, test) for one in known.forecasts]
    )
    rival = None if production is None else _rival(production, visits, sent)
    if rival is not None and len(np.unique(user_of_row(visits)[sent.rows][rival.rows])) < FEWEST_USERS:
        not_compared, rival = _too_few(rival), None
    progress(0.4, "forecasting known users on test dates")
    user_dates = forecast_user_dates(model, visits, parts)
    progress(0.5, "scoring the baselines")
    users, more = user_of_row(visits)[parts.test], more_baselines or {}
    whole = Contest(
        users,
        forecast_outcomes(forecast, visits, parts.test),
        forecast.confidence,
        {**baseline_outcomes(visits, parts, counts), **more},
    )
    in_use = Contest(
        users,
        forecast_outcomes(sent.forecasts[0], visits, sent.rows),
        sent.forecasts[0].confidence,
        {**as_sent_baselines(visits, parts, counts, sent), **more},
    )
    progress(0.7, "comparing")
    results = assess(
        in_use,
        whole,
        forecast_outcomes(known.forecasts[0], visits, known.rows),
        user_dates,
        group_rows(visits, parts),
        Precedent(rival, not_compared, anchor_lead, cross_validation),
        limits or Limits(),
    )
    results["profile"] = weekday_profiles(
        visits, lambda known: forecaster.forecast_last(model, known.dataset, known.as_of)
    )
    return Evaluation(parts, sent.forecasts[0], results)


def known_rows(visits: Dataset, parts: Split) -> NDArray[np.int64]:
    """Return the visit days from the first test date on that are not their user's first, ascending."""
    return np.flatnonzero((visits.visit_date >= parts.test_starts) & (position_in_history(visits) > 0))


def _rival(production: Bundle, visits: Dataset, sent: AsSent) -> Rival:
    """Forecast the test rows from the day on up to which the production model has learnt."""
    rows = visits.visit_date[sent.rows] >= production.metadata["cut_offs"]["test_starts"]
    return Rival(rows, forecast_outcomes(choose(sent.forecasts[1], rows), visits, sent.rows[rows]))


def _too_few(rival: Rival) -> str:
    return (
        f"The model in production has learnt from all but {rival.rows.sum():,} of the {len(rival.rows):,} test rows, "
        "too few to compare on."
    )
