"""The log of sends whose outcome is known, from which other policies are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NO_SEND: Final = -1
"""Hour of a row whose user got no push."""

Floats = NDArray[np.float64]
Hours = NDArray[np.int64]


@dataclass(frozen=True)
class SendLog:
    """Sends that were handed over, and would-be sends of users who were left without a push at random.

    Attributes
    ----------
    user : str array [rows]
        Users; one has a row for each date.
    hour : int64 array [rows]
        Local hour of the send, or ``NO_SEND``.
    propensity : float64 array [rows]
        Probability with which the user got this hour, or no push; > 0.
    possible : bool array [rows, 24]
        Hours in which a push could go out; at least one.
    visit_hour : float32 array [rows, 24]
        Forecast chance of a visit in the hour on a day with a visit.
    visit_probability : float64 array [rows]
        Forecast probability that the user comes; 0 for users who had never come.
    visited : float64 array [rows]
        1 if the user visited within a day of the send, or of the instant at which it would have been; else 0.
    """

    user: NDArray[Any]
    hour: Hours
    propensity: Floats
    possible: NDArray[np.bool_]
    visit_hour: NDArray[np.float32]
    visit_probability: Floats
    visited: Floats

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.hour)

    @property
    def sends(self) -> int:
        """Number of pushes."""
        return int((self.hour != NO_SEND).sum())

    def take(self, rows: NDArray[Any]) -> SendLog:
        """Return some of the rows."""
        return SendLog(**{name: values[rows] for name, values in vars(self).items()})
