"""A few made-up users and what a model forecast for them when it was trained.

Whoever loads the model forecasts them again: a model that answers otherwise is not the one that was trained, or runs
with code or on a machine that computes something else. The users are made up, since a model should not hold anybody's
visits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, of_columns, with_target_days
from visitcast.data.schedule import over_everywhere, scheduled_at

HISTORIES: Final = (0, 1, 3, 12, 45, 120, 300)
"""Visit days of the users: without the network, and with one, several and many of its sequences."""
FIRST_DATE: Final = 20_454
"""2026-01-01, days since 1970-01-01."""


@dataclass(frozen=True)
class Probe:
    """Users, and forecasts for them.

    Attributes
    ----------
    dataset : Dataset
        Visit days; the last row of each user is the day to forecast.
    as_of : int64 array [U]
        Instants at which the data end, minutes since 1970-01-01T00:00Z.
    first_visit_hour, visit_hour : float32 arrays [U, 24]
        Forecast probabilities.
    visit_probability : float32 array [U]
        NaN for a user without visits.
    """

    dataset: Dataset
    as_of: NDArray[np.int64]
    first_visit_hour: NDArray[np.float32]
    visit_hour: NDArray[np.float32]
    visit_probability: NDArray[np.float32]


def made_users() -> tuple[Dataset, NDArray[np.int64]]:
    """Make users by arithmetic, so that they are the same everywhere.

    They differ in history, habits, gaps, platforms and time zones. There are two of each history: the eve of the day to
    forecast is over for one of them, and not for the other, as by the schedule.

    Returns
    -------
    dataset : Dataset
        Visit days, and a day to forecast of each user.
    as_of : int64 array [U]
        Instants at which the data end.
    """
    visits = np.array(HISTORIES * 2)
    users = np.arange(len(visits))
    user = np.repeat(users, visits)
    offsets = np.concatenate([[0], np.cumsum(visits)])
    day = np.arange(len(user)) - offsets[user]
    mixed = (user * 7919 + day * 104_729) % 65_521
    first = (5 + user + mixed % 5) % (schema.HOURS - 4)
    last = first + mixed % 4
    views = np.stack([1 + mixed % 3, mixed % 5, mixed % 2, mixed % 7])
    columns = {
        schema.VISIT_DATE: FIRST_DATE + day + day // 3,
        schema.TOTAL_TIME_SPENT_S: 20 + mixed % 3000,
        schema.TOTAL_PAGE_VIEWS: views.sum(axis=0),
        **dict(zip(schema.PAGE_VIEWS_BY_TYPE, views, strict=True)),
        schema.FIRST_VISIT_HOUR: first,
        schema.LAST_VISIT_HOUR: last,
        schema.HOURLY_VISITS: (1 << first) | (1 << last),
        schema.PLATFORM: (user + day // 50) % len(schema.PLATFORMS),
        schema.UTC_OFFSET_MINUTES: 60 * (user - len(HISTORIES)),
    }
    ids = np.array([f"probe-{number}" for number in users])
    tomorrow = FIRST_DATE + visits + np.maximum(visits - 1, 0) // 3
    dataset = with_target_days(of_columns(ids, offsets, columns), tomorrow)
    return dataset, np.where(users < len(HISTORIES), over_everywhere(tomorrow), scheduled_at(tomorrow))


def to_json(probe: Probe) -> dict[str, Any]:
    """Turn a probe into a JSON object."""
    return {
        "user_ids": probe.dataset.user_ids.tolist(),
        "offsets": probe.dataset.offsets.tolist(),
        "columns": {name: values.tolist() for name, values in probe.dataset.columns.items()},
        "as_of": probe.as_of.tolist(),
        "first_visit_hour": probe.first_visit_hour.tolist(),
        "visit_hour": probe.visit_hour.tolist(),
        "visit_probability": [None if np.isnan(value) else value for value in probe.visit_probability.tolist()],
    }


def from_json(content: Mapping[str, Any]) -> Probe:
    """Restore a probe from what :func:`to_json` returned."""
    columns = {name: np.asarray(values) for name, values in content["columns"].items()}
    return Probe(
        dataset=of_columns(np.asarray(content["user_ids"], np.str_), np.asarray(content["offsets"], np.int64), columns),
        as_of=np.asarray(content["as_of"], np.int64),
        first_visit_hour=np.asarray(content["first_visit_hour"], np.float32),
        visit_hour=np.asarray(content["visit_hour"], np.float32),
        visit_probability=np.asarray(content["visit_probability"], np.float32),
    )
