"""Who visits in the hour of the send: expected against realised, and orders of the users for a scarce capacity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.evaluation.bootstrap import resampled_sums
from visitcast.evaluation.groups import FEWEST_USERS
from visitcast.evaluation.ratios import FEWEST_VISITS, quotient, ratios, tenths
from visitcast.evaluation.user_dates import ACTIVE_DAYS, UserDates, correct_by_closed_dates, select, size

CAPACITIES: Final = (0.2, 0.5)
"""Shares of the active users who may get a push on a date."""

PRODUCT, CHANCE, PROBABILITY = "chance_of_a_visit", "hour_alone", "visit_probability"
"""Orders in which users get a scarce push: by the chance that the plan uses, by the best hour's chance given that the
user comes, and by the probability of coming alone."""

_MODEL: Final = "model"


def score_sends(pairs: UserDates) -> dict[str, Any]:
    """Compare expected with realised visits in the hour of the send, and orders for a scarce capacity.

    Returns
    -------
    dict
        See ``sends`` in docs/evaluation.md.
    """
    everybody = np.ones(len(pairs.user), dtype=bool)
    chance, mended = pairs.chance, correct_by_closed_dates(pairs).chance
    parts, mended_parts = tenths(chance, pairs.weight), tenths(mended, pairs.weight)
    found = ratios(
        pairs,
        pairs.visited,
        {
            _MODEL: (chance, everybody),
            "corrected": (mended, everybody),
            "of_visitors": (pairs.hour_chance, pairs.came),
            **{("tenth", number): (chance, rows) for number, rows in enumerate(parts)},
            **{("corrected", number): (mended, rows) for number, rows in enumerate(mended_parts)},
        },
    )
    active = select(pairs, pairs.absent_days <= ACTIVE_DAYS)
    return {
        **size(pairs),
        **found[_MODEL],
        "corrected": {
            **found["corrected"],
            "tenths": [found["corrected", number] for number in range(len(mended_parts))],
        },
        "tenths": [found["tenth", number] for number in range(len(parts))],
        "of_visitors": found["of_visitors"],
        "capacity": [_with_capacity(active, share) for share in CAPACITIES],
    }


def _with_capacity(pairs: UserDates, share: float) -> dict[str, Any]:
    """Return the visits in the hour of the send where only a share of the users gets one, by the order of choice."""
    orders = {PRODUCT: pairs.chance, CHANCE: pairs.hour_chance, PROBABILITY: pairs.probability}
    sent = {name: _first(pairs.date, value, share) & pairs.visited for name, value in orders.items()}
    realised = {name: float(pairs.weight @ visited) for name, visited in sent.items()}
    gain = None
    enough = min(visited.sum() for visited in sent.values()) >= FEWEST_VISITS
    if enough and len(np.unique(pairs.user)) >= FEWEST_USERS:
        sums = resampled_sums(((name, pairs.weight * visited) for name, visited in sent.items()), pairs.user)
        gain = quotient(realised[PRODUCT] / realised[CHANCE], sums[PRODUCT], sums[CHANCE])
    return {"share": share, "all": float(pairs.weight @ pairs.visited), "realised": realised, "gain": gain}


def _first(dates: NDArray[np.int64], value: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """Return on each date the share of the users with the highest value."""
    first = np.zeros(len(dates), dtype=bool)
    for rows in _rows_of_dates(dates):
        best = np.argsort(-value[rows], kind="stable")
        first[rows[best[: int(share * len(rows))]]] = True
    return first


def _rows_of_dates(dates: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    order = np.argsort(dates, kind="stable")
    _, starts = np.unique(dates[order], return_index=True)
    yield from np.split(order, starts[1:])
