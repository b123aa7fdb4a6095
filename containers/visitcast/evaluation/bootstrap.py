"""Bootstrap by user: intervals of figures whose rows are alike within a user.

Users, not rows, are drawn with replacement. How often each is drawn is multinomial, so a resample is a vector of
weights and all resamples of all figures are one matrix product; no row is copied. Figures of one call share the
weights, so their differences are paired.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 2000
LEVEL: Final = 0.95
SEED: Final = 20
MAX_UNITS: Final = 10_000
"""More users than these are pooled at random into that many groups, and the groups are drawn: the width of the
interval is then known to 1%, in bounded time."""
BLOCK_ENTRIES: Final = 4_000_000
"""Weights drawn at a time: 32 MB."""


Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Interval:
    """A figure and the two ends of its interval."""

    mean: float
    low: float
    high: float


def resampled_sums(
    columns: Iterable[tuple[Key, NDArray[Any]]], users: NDArray[np.int64], draws: int = DRAWS, seed: int = SEED
) -> dict[Key, NDArray[np.float64]]:
    """Sum each column over the rows of each resample; return the sums [draws] by the column's key.

    Parameters
    ----------
    columns : iterable of (key, array [rows])
        Figures of the rows, read one at a time: all columns together would take many times the memory of the outcomes.
        A column of ones counts the rows, which differ between resamples.
    users : int64 array [rows]
        User of each row.
    draws : int
        Resamples.
    seed : int
        Makes them reproducible.
    """
    rng = np.random.default_rng(seed)
    known, unit = np.unique(users, return_inverse=True)
    units = len(known)
    if units > MAX_UNITS:
        unit = (rng.permutation(units) % MAX_UNITS)[unit]
        units = MAX_UNITS
    by_unit = {key: np.bincount(unit, weights=column, minlength=units) for key, column in columns}
    sums = np.stack(list(by_unit.values()), axis=1)
    chances = np.full(units, 1 / units)
    block = max(1, BLOCK_ENTRIES // units)
    drawn = np.concatenate(
        [rng.multinomial(units, chances, size=min(block, draws - start)) @ sums for start in range(0, draws, block)]
    )
    return dict(zip(by_unit, drawn.T, strict=True))


def interval(figure: float, resampled: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """Return the two-sided percentile interval of a figure, from its values in the resamples [draws]."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(figure, float(low), float(high))


def bootstrap_by_user(
    values: NDArray[Any], users: NDArray[np.int64], level: float = LEVEL, draws: int = DRAWS, seed: int = SEED
) -> Interval:
    """Return the interval of a mean over rows.

    Parameters
    ----------
    values : float array [rows]
        For a paired comparison the difference of two forecasters' losses on the same rows.
    users : int64 array [rows]
        User of each row.
    level : float
        Coverage.
    draws, seed : int
        Resamples, and what makes them reproducible.
    """
    sums = resampled_sums({"values": values, "rows": np.ones(len(values))}.items(), users, draws, seed)
    return interval(float(np.mean(values)), sums["values"] / sums["rows"], level)
