"""Writes forecasts as JSON or JSON Lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from visitcast.data import schema
from visitcast.forecasting.forecaster import Forecast
from visitcast.serving.formats import Format

DECIMALS = 6
"""Decimals of a probability: 10,000 forecasts then fit into the 6 MB that SageMaker allows for an answer."""


def write(
    forecast: Forecast, users: Sequence[str], dates: Sequence[date], model: dict[str, Any], format_: Format
) -> bytes:
    """Write an answer.

    Parameters
    ----------
    forecast : Forecast
        Of every user, in the order asked.
    users : sequence of str
        Their identifiers.
    dates : sequence of date
        Days forecast.
    model : dict
        Description of the model that made the forecasts.
    format_ : Format
        Of the answer.

    Raises
    ------
    ValueError
        A probability is not a number.
    """
    rows = _rows(forecast, users, dates)
    if format_ is Format.JSON:
        return to_json({"forecasts": list(rows), "model": model})
    return b"".join(to_json({**row, "model": model}) + b"\n" for row in rows)


def _rows(forecast: Forecast, users: Sequence[str], dates: Sequence[date]) -> Iterator[dict[str, Any]]:
    first_hour = _rounded(forecast.first_visit_hour)
    visited = _rounded(forecast.visit_hour)
    best_hours = forecast.best_hour.tolist()
    sources = forecast.source.tolist()
    comes = np.round(forecast.visit_probability.astype(np.float64), DECIMALS).tolist()
    for number, user in enumerate(users):
        yield {
            schema.USER_ID: user,
            schema.DATE: dates[number].isoformat(),
            schema.FIRST_HOUR_PROBABILITIES: first_hour[number],
            schema.HOUR_PROBABILITIES: visited[number],
            schema.BEST_HOUR: best_hours[number],
            schema.CONFIDENCE: visited[number][best_hours[number]],
            schema.VISIT_PROBABILITY: None if math.isnan(comes[number]) else comes[number],
            schema.SOURCE: sources[number],
        }


def _rounded(probabilities: NDArray[np.float32]) -> list[list[float]]:
    # JSON has no NaN, and no sender could use it.
    if not np.isfinite(probabilities).all():
        raise ValueError("The model has forecast probabilities that are not numbers.")
    rounded: list[list[float]] = np.round(probabilities.astype(np.float64), DECIMALS).tolist()
    return rounded
