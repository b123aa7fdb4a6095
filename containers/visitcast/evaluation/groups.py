"""Groups of the test rows, to see for which users the model works and for which it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.calendar import weekday
from visitcast.data.dataset import Dataset, position_in_history, user_of_row
from visitcast.data.protocol import MINIMUM_HISTORY, Split
from visitcast.data.schema import PLATFORMS
from visitcast.evaluation.bootstrap import Interval, interval, resampled_sums
from visitcast.metrics import Outcomes, Scores, select, summarise
from visitcast.model import mixture

HISTORY_LENGTH: Final = "history_length"
PLATFORM: Final = "platform"
WEEKDAY: Final = "weekday"
USERS: Final = "users"
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FEWEST_USERS: Final = 10
"""The bootstrap cannot give an interval for fewer users."""

Masks = dict[str, NDArray[np.bool_]]
"""Rows of each group by the group's name; every row is in exactly one."""


@dataclass(frozen=True)
class Group:
    """A group's size and scores.

    Attributes
    ----------
    name : str
        Name within its grouping.
    rows, users : int
        Size.
    model, tuned_histogram : Scores
        Metrics on the group's rows.
    log_loss_difference : Interval or None
        Model minus tuned histogram, paired, by user; None for fewer than ``FEWEST_USERS`` users.
    """

    name: str
    rows: int
    users: int
    model: Scores
    tuned_histogram: Scores
    log_loss_difference: Interval | None


def group_rows(dataset: Dataset, parts: Split) -> dict[str, Masks]:
    """Group the test rows by length of history (as the mixture does), platform, weekday, and known or new user."""
    rows = parts.test
    history = mixture.group_of(position_in_history(dataset, rows))
    starts = (MINIMUM_HISTORY, *mixture.HISTORY_STARTS[1:])
    ends = [f"–{start - 1} days" for start in starts[1:]] + [" days or more"]
    history_names = [f"{start}{end}" for start, end in zip(starts, ends, strict=True)]
    day = weekday(dataset.visit_date[rows])
    user = user_of_row(dataset)
    known = np.isin(user[rows], user[parts.train])
    return {
        HISTORY_LENGTH: {name: history == number for number, name in enumerate(history_names)},
        PLATFORM: {name: dataset.platform[rows] == code for code, name in enumerate(PLATFORMS)},
        WEEKDAY: {name: day == number for number, name in enumerate(WEEKDAYS)},
        USERS: {"known": known, "new": ~known},
    }


def score_groups(
    groupings: dict[str, Masks], model: Outcomes, tuned_histogram: Outcomes, users: NDArray[np.int64]
) -> dict[str, list[Group]]:
    """Score every group that has rows.

    Parameters
    ----------
    groupings : dict
        Result of :func:`group_rows`.
    model, tuned_histogram : Outcomes
        Of all test rows; both give probabilities.
    users : int64 array [rows]
        User of each row.
    """
    difference = _log_loss(model) - _log_loss(tuned_histogram)
    sums = resampled_sums(
        (
            column
            for grouping, named in groupings.items()
            for name, mask in named.items()
            for column in (
                ((grouping, name, "rows"), mask.astype(np.float64)),
                ((grouping, name, "difference"), np.where(mask, difference, 0.0)),
            )
        ),
        users,
    )
    found: dict[str, list[Group]] = {}
    for grouping, named in groupings.items():
        found[grouping] = []
        for name, mask in named.items():
            if not mask.any():
                continue
            size = len(np.unique(users[mask]))
            rows_drawn = sums[grouping, name, "rows"]
            drawn = rows_drawn > 0
            found[grouping].append(
                Group(
                    name=name,
                    rows=int(mask.sum()),
                    users=size,
                    model=summarise(select(model, mask)),
                    tuned_histogram=summarise(select(tuned_histogram, mask)),
                    log_loss_difference=interval(
                        float(difference[mask].mean()), sums[grouping, name, "difference"][drawn] / rows_drawn[drawn]
                    )
                    if size >= FEWEST_USERS
                    else None,
                )
            )
    return found


def _log_loss(outcomes: Outcomes) -> NDArray[np.float64]:
    losses = outcomes.log_loss
    if losses is None:
        raise ValueError("a forecaster without probabilities has no log loss")
    return losses
