"""Expected against realised numbers, with an interval by user."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.evaluation.bootstrap import Interval, interval, resampled_sums
from visitcast.evaluation.groups import FEWEST_USERS
from visitcast.evaluation.user_dates import UserDates
from visitcast.metrics import SMALLEST_PROBABILITY

TENTHS: Final = 10
FEWEST_VISITS: Final = 10
"""With fewer realised visits, expected over realised says nothing."""


def ratios(
    pairs: UserDates,
    realised: NDArray[np.bool_],
    expected: Mapping[Hashable, tuple[NDArray[np.float64], NDArray[np.bool_]]],
) -> dict[Hashable, dict[str, Any]]:
    """Return expected and realised numbers of some rows and their ratio, with its interval by user.

    Parameters
    ----------
    pairs : UserDates
        Give users and weights.
    realised : bool array [pairs]
        What came.
    expected : mapping
        By key what was expected [pairs], and which pairs count [pairs].

    Returns
    -------
    dict
        By key ``pairs``, ``mean`` (expected per pair), ``expected``, ``realised`` and ``ratio``, which is None if too
        little was realised. All are of the users that the pairs stand for.
    """

    def columns() -> Iterator[tuple[tuple[Hashable, str], NDArray[Any]]]:
        for key, (value, rows) in expected.items():
            yield (key, "expected"), np.where(rows, value, 0.0) * pairs.weight
            yield (key, "realised"), (realised & rows) * pairs.weight

    sums = resampled_sums(columns(), pairs.user) if len(pairs.user) else {}
    found: dict[Hashable, dict[str, Any]] = {}
    for key, (value, rows) in expected.items():
        weight, came = pairs.weight[rows], realised & rows
        above, below = float(weight @ value[rows]), float(pairs.weight @ came)
        enough = came.sum() >= FEWEST_VISITS and len(np.unique(pairs.user[came])) >= FEWEST_USERS
        found[key] = {
            "pairs": float(weight.sum()),
            "mean": above / max(1.0, float(weight.sum())),
            "expected": above,
            "realised": below,
            "ratio": quotient(above / below, sums[key, "expected"], sums[key, "realised"]) if enough else None,
        }
    return found


def quotient(figure: float, above: NDArray[np.float64], below: NDArray[np.float64]) -> Interval:
    """Return a ratio with its interval, from the resampled sums above and below the line."""
    drawn = below > 0
    return interval(figure, above[drawn] / below[drawn])


def tenths(expected: NDArray[np.float64], weight: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Divide pairs in the order of what is expected, so that each part [pairs] holds a tenth of the expected visits.

    Tenths of the users would hold next to no visits where few users come.
    """
    order = np.argsort(expected, kind="stable")
    weighted = (expected * weight)[order]
    before = np.cumsum(weighted) - weighted
    part = np.empty(len(order), dtype=np.int64)
    part[order] = np.minimum(before * TENTHS / max(float(weighted.sum()), SMALLEST_PROBABILITY), TENTHS - 1)
    return [part == number for number in range(TENTHS) if (part == number).any()]
