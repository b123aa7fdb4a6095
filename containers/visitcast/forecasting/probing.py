"""Compare what a model forecasts with what it forecast when it was trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.errors import InputError
from visitcast.forecasting.forecaster import Forecast, forecast_last
from visitcast.model.bundle import Bundle
from visitcast.model.probe import Probe, made_users

TOLERANCE: Final = 1e-3
"""Largest difference of a probability. Another processor rounds otherwise, which changes some 1e-6."""
_HEADLINE: Final = "The model does not forecast what it forecast when it was trained."
_REMEDY: Final = "Use the archive of a training job as it was written, or train again."


def with_probe(bundle: Bundle) -> Bundle:
    """Add forecasts for made-up users to a bundle."""
    dataset, as_of = made_users()
    made = forecast_last(bundle, dataset, as_of)
    return replace(bundle, probe=Probe(dataset, as_of, made.first_visit_hour, made.visit_hour, made.visit_probability))


def require_probe(bundle: Bundle) -> None:
    """Forecast the users of a bundle's probe again.

    Raises
    ------
    InputError
        The bundle has no probe or one of other users, cannot forecast, or forecasts something else.
    """
    if bundle.probe is None:
        raise InputError("The model has no forecasts to compare with.", "It was saved without a probe.", _REMEDY)
    users, offsets = bundle.probe.dataset.user_ids, bundle.probe.dataset.offsets
    expected, _ = made_users()
    if users.tolist() != expected.user_ids.tolist() or offsets.tolist() != expected.offsets.tolist():
        # Users without visits alone would not need the network.
        raise InputError("The model's probe cannot be used.", "It is not of the users of this release.", _REMEDY)
    try:
        # Warnings of NumPy, such as of a division by zero, say nothing that the comparison does not find.
        with np.errstate(all="ignore"):
            made = forecast_last(bundle, bundle.probe.dataset, bundle.probe.as_of)
    except Exception as error:
        raise InputError("The model cannot forecast.", f"{type(error).__name__}: {error}", _REMEDY) from error
    if found := _fault(made, bundle.probe):
        raise InputError(_HEADLINE, found, _REMEDY)


def _fault(made: Forecast, probe: Probe) -> str:
    """Describe what is wrong with the forecasts of a probe's users; empty if nothing is."""
    sums = made.first_visit_hour.sum(axis=1)
    if not np.all(np.abs(sums - 1) <= TOLERANCE):
        return f"The probabilities of the hour of the first visit add up to {_farthest(sums, 1.0):g}."
    for name in ("first_visit_hour", "visit_hour", "visit_probability"):
        expected, found = getattr(probe, name), getattr(made, name)
        if not np.allclose(found, expected, rtol=0, atol=TOLERANCE, equal_nan=name == "visit_probability"):
            return f"{name} differs by {np.nanmax(np.abs(found - expected)):g} where {TOLERANCE:g} is allowed."
    return ""


def _farthest(values: NDArray[np.float32], expected: float) -> float:
    return float(values[np.argmax(np.abs(values - expected))])
