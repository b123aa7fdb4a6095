"""The evaluation protocol: which rows count, and which of them train, validate and test.

A row is a user's visit day. It is eligible with at least ``MINIMUM_HISTORY`` earlier active days. Cut-offs are dates,
so that no model is judged on days that it has seen: training rows lie before ``validation_starts``, validation rows
from then on and before ``test_starts``, test rows from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, position_in_history
from visitcast.errors import InputError

MINIMUM_HISTORY: Final = 3
WIDTH_PERCENT: Final = 10
"""Validation and test windows each hold this share of the eligible rows."""
MINIMUM_ROWS: Final = {"train": 100, "validation": 10, "test": 10}
"""With fewer rows in a part, its metrics say nothing about a model."""
MAX_FOLDS: Final = 7
"""Fold 1 of 7 trains on the earliest 10% of the rows; an eighth fold would have nothing to train on."""


@dataclass(frozen=True)
class Split:
    """Row numbers into a dataset's arrays, each ascending, and the cut-off dates.

    Attributes
    ----------
    train, validation, test : int64 arrays
        Eligible rows of each part.
    validation_starts, test_starts : int
        First day of the part (days since 1970-01-01).
    test_ends : int or None
        Day after the last test day; None for the full protocol, whose test part is open-ended.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    validation_starts: int
    test_starts: int
    test_ends: int | None = None


def eligible_rows(dataset: Dataset) -> NDArray[np.int64]:
    """Return the rows with at least ``MINIMUM_HISTORY`` earlier active days, ascending."""
    return np.flatnonzero(position_in_history(dataset) >= MINIMUM_HISTORY)


def split(dataset: Dataset, fold: int = 0, folds: int = 0) -> Split:
    """Split the eligible rows by date.

    The full protocol (``fold=0``) cuts at the 80th and the 90th percentile of the rows' dates. Fold k of K (1-based)
    keeps the windows' widths and moves the origin earlier by ``K - k + 1`` windows: the last fold tests on the full
    protocol's validation window, the fold before it one window earlier, and so on. So no fold ever sees a test row of
    the full protocol, and a model chosen by cross-validation can still be judged on it.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    fold, folds : int
        ``0, 0`` for the full protocol, else ``1 <= fold <= folds <= MAX_FOLDS``.

    Raises
    ------
    InputError
        The fold does not exist, or the dataset has no eligible row.
    """
    if (fold, folds) != (0, 0) and not 1 <= fold <= folds <= MAX_FOLDS:
        raise InputError(
            "There is no such cross-validation fold.",
            f"fold={fold}, folds={folds}.",
            f"Use fold=0, folds=0 for the full split, or 1 <= fold <= folds <= {MAX_FOLDS}.",
        )
    rows = eligible_rows(dataset)
    dates = dataset.visit_date[rows]
    moved = 0 if fold == 0 else (folds - fold + 1) * WIDTH_PERCENT
    cuts = cut_dates(*np.unique(dates, return_counts=True), moved)
    in_test = dates >= cuts.test_starts
    if cuts.test_ends is not None:
        in_test &= dates < cuts.test_ends
    return Split(
        train=rows[dates < cuts.validation_starts],
        validation=rows[(dates >= cuts.validation_starts) & (dates < cuts.test_starts)],
        test=rows[in_test],
        **cuts._asdict(),
    )


class CutDates(NamedTuple):
    """The dates of :class:`Split`."""

    validation_starts: int
    test_starts: int
    test_ends: int | None


def cut_dates(dates: NDArray[Any], rows: NDArray[np.int64], moved: int = 0) -> CutDates:
    """Find the dates that split the eligible rows.

    Parameters
    ----------
    dates : int array [D]
        Days since 1970-01-01, ascending.
    rows : int64 array [D]
        Eligible rows on each date.
    moved : int
        How much earlier the windows are than in the full protocol, in percent of the rows.

    Raises
    ------
    InputError
        There is no eligible row.
    """
    up_to = np.cumsum(rows)
    if len(rows) == 0 or up_to[-1] == 0:
        raise InputError(
            "No user has enough history to learn from.",
            f"No visit day has {MINIMUM_HISTORY} earlier active days of the same user.",
            "Supply a longer period of events.",
        )

    def percentile(percent: int) -> int:
        # The date of the row with that rank. Integers, because ``int(0.29 * 100)`` is 28 with floats.
        return int(dates[np.searchsorted(up_to, int(up_to[-1]) * percent // 100, side="right")])

    return CutDates(
        validation_starts=percentile(100 - 2 * WIDTH_PERCENT - moved),
        test_starts=percentile(100 - WIDTH_PERCENT - moved),
        test_ends=None if moved == 0 else percentile(100 - moved),
    )


def require_enough_rows(parts: Split) -> None:
    """Refuse a split with a part that is too small to learn from or to judge on.

    Raises
    ------
    InputError
        A part has fewer rows than ``MINIMUM_ROWS``.
    """
    require_enough(len(parts.train), len(parts.validation), len(parts.test))


def require_enough(train: int, validation: int, test: int) -> None:
    """Refuse numbers of rows below ``MINIMUM_ROWS``; see :func:`require_enough_rows`."""
    sizes = {"train": train, "validation": validation, "test": test}
    if any(sizes[part] < minimum for part, minimum in MINIMUM_ROWS.items()):
        found = ", ".join(f"{part} {size} (at least {MINIMUM_ROWS[part]})" for part, size in sizes.items())
        raise InputError(
            "There are too few visit days to train and judge a model.",
            f"Only visit days with {MINIMUM_HISTORY} earlier active days of the same user count. Rows: {found}.",
            "Supply more users or a longer period of events.",
        )
