"""Evaluate a model on the test rows of a dataset, beside every baseline and the model in production."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visitcast.contract import progress
from visitcast.data.dataset import Dataset, require_dataset, user_of_row
from visitcast.data.protocol import Split, split
from visitcast.evaluation.assessment import PRODUCTION, Contest, assess
from visitcast.evaluation.gate import NO_PRODUCTION, Limits
from visitcast.evaluation.groups import group_rows
from visitcast.features.histograms import decayed_histograms
from visitcast.forecasting import forecaster
from visitcast.metrics import METRICS, Outcomes, probability_outcomes
from visitcast.model.baselines import baseline_outcomes
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
        The model's, of the test rows.
    results : dict
        The keys of ``evaluation.json`` that docs/evaluation.md describes, from ``model`` to ``gate``.
    """

    parts: Split
    forecast: forecaster.Forecast
    results: dict[str, Any]

    @property
    def scores(self) -> pd.DataFrame:
        """Every metric (columns) of every forecaster (rows), the model first; NaN if it has no probabilities."""
        import pandas as pd

        production = self.results[PRODUCTION]
        rows = {
            MODEL: self.results[MODEL],
            **({PRODUCTION: production["metrics"]} if production else {}),
            **self.results["baselines"],
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=list(METRICS), dtype=np.float64)

    @property
    def differences(self) -> pd.DataFrame:
        """Model minus each baseline, with the ends of the paired 95% interval (by user)."""
        import pandas as pd

        rows = {
            (baseline, metric): difference
            for baseline, metrics in self.results["differences"].items()
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
    not_compared: str = NO_PRODUCTION,
    more_baselines: Mapping[str, Outcomes] | None = None,
    cross_validation: CrossValidation | None = None,
    limits: Limits | None = None,
) -> Evaluation:
    """Score a model on the test rows, beside the baselines, and give the gate's verdict.

    Parameters
    ----------
    model : Bundle
        Fitted on the training and validation rows of the same visits.
    visits : Dataset
        Visit days.
    production : Bundle, optional
        The model now in production, to compare with.
    not_compared : str
        Why `production` is None; the gate repeats it.
    more_baselines : mapping, optional
        Outcomes on the test rows of further forecasters, by name.
    cross_validation : CrossValidation, optional
        Scores of the folds.
    limits : Limits, optional
        What the model must reach. Default: not to be worse than `production`.

    Raises
    ------
    InputError
        No user has enough history, or `visits` is something else.
    """
    require_dataset(visits)
    parts = split(visits)
    progress(0.1, "forecasting the test rows")
    counts = decayed_histograms(visits)
    forecast, outcomes = _forecast_test_rows(model, visits, parts, counts)
    rival = None if production is None else _forecast_test_rows(production, visits, parts, counts)[1]
    progress(0.3, "scoring the baselines")
    baselines = {**baseline_outcomes(visits, parts, counts), **(more_baselines or {})}
    progress(0.7, "comparing")
    contest = Contest(user_of_row(visits)[parts.test], outcomes, forecast.confidence, baselines, rival, not_compared)
    results = assess(contest, group_rows(visits, parts), cross_validation, limits or Limits())
    return Evaluation(parts, forecast, results)


def _forecast_test_rows(
    model: Bundle, visits: Dataset, parts: Split, counts: NDArray[np.float32]
) -> tuple[forecaster.Forecast, Outcomes]:
    """Forecast the test rows and compare with the actual visits."""
    rows = parts.test
    forecast = forecaster.forecast(model, visits, rows, counts)
    outcomes = probability_outcomes(
        forecast.first_visit_hour,
        visits.first_visit_hour[rows],
        visits.hourly_visits[rows],
        best_hour=forecast.best_hour,
    )
    return forecast, outcomes
