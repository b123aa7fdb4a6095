"""Draws hyperparameters from the ParameterRanges of a tuning job."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from moto.sagemaker.exceptions import ValidationError

SPREAD_FOR_LOGARITHMS = 10.0
"""ScalingType Auto uses the logarithm if the ends of a range are at least this factor apart."""


def names(ranges: Mapping[str, Any]) -> list[str]:
    """Return the names of the hyperparameters that have a range."""
    return [entry["Name"] for _, entry in _entries(ranges)]


def draw(ranges: Mapping[str, Any], generator: random.Random) -> dict[str, str]:
    """Return a random value, as text, for each hyperparameter.

    Parameters
    ----------
    ranges
        ParameterRanges of the API, with ``IntegerParameterRanges`` and ``ContinuousParameterRanges``.

    Raises
    ------
    ValidationError
        A range is empty, or its kind or scaling is not supported.
    """
    if ranges.get("CategoricalParameterRanges"):
        raise ValidationError("The local region supports IntegerParameterRanges and ContinuousParameterRanges only.")
    return {entry["Name"]: _value(kind, entry, generator) for kind, entry in _entries(ranges)}


def _entries(ranges: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in ("Integer", "Continuous"):
        for entry in ranges.get(f"{kind}ParameterRanges") or []:
            yield kind, entry


def _value(kind: str, entry: Mapping[str, Any], generator: random.Random) -> str:
    try:
        low, high = float(entry["MinValue"]), float(entry["MaxValue"])
    except ValueError as error:
        raise ValidationError(f"Range of {entry['Name']}: {error}") from error
    if low > high:
        raise ValidationError(f"Range of {entry['Name']}: MinValue {low:g} is greater than MaxValue {high:g}.")
    value = _between(low, high, entry.get("ScalingType", "Auto"), generator)
    # Rounding errors may leave the range.
    value = min(max(value, low), high)
    return str(round(value)) if kind == "Integer" else repr(value)


def _between(low: float, high: float, scaling: str, generator: random.Random) -> float:
    if scaling == "Auto":
        scaling = "Logarithmic" if low > 0 and high / low >= SPREAD_FOR_LOGARITHMS else "Linear"
    if scaling == "Logarithmic":
        if low <= 0:
            raise ValidationError("Logarithmic scaling needs a MinValue greater than 0.")
        return math.exp(generator.uniform(math.log(low), math.log(high)))
    if scaling != "Linear":
        raise ValidationError(f"The local region supports ScalingType Auto, Linear or Logarithmic, not {scaling}.")
    return generator.uniform(low, high)
