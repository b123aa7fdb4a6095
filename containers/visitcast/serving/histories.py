"""Convert the users of a request to the arrays that a forecast needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.calendar import EPOCH
from visitcast.data.dataset import Dataset, of_columns, platform_code
from visitcast.serving.errors import RequestError
from visitcast.serving.json_requests import Locate, User, Visit, locate_in_json

_INTEGERS: Final = tuple(column.name for column in schema.DAY_COLUMNS if column.kind == "integer")
_integers_of = itemgetter(*_INTEGERS)
_date_of = itemgetter(schema.VISIT_DATE)
_platform_of = itemgetter(schema.PLATFORM)
_UNKNOWN: Final[dict[str, Any]] = {**dict.fromkeys(_INTEGERS, 0), schema.PLATFORM: schema.PLATFORMS[0]}
"""Values stored for a day to forecast, except its date."""


def to_dataset(users: Sequence[User], locate: Locate = locate_in_json) -> Dataset:
    """Check rules that span several values, sort, and append the day to forecast to every user.

    Parameters
    ----------
    users : sequence of User
        Each valid by itself; visits in any order. A user may appear twice, for two days.
    locate : callable
        Names the place of an error.

    Returns
    -------
    Dataset
        Users in the order given; the last row of each is the day to forecast, all zero but its date.

    Raises
    ------
    RequestError
        A visit contradicts itself, a day appears twice, or the day to forecast is not after all visits.
    """
    days = [day for user in users for day in (*user["visits"], {**_UNKNOWN, schema.VISIT_DATE: user["date"]})]
    lengths = np.array([len(user["visits"]) + 1 for user in users], dtype=np.int64)
    offsets = np.zeros(len(users) + 1, dtype=np.int64)
    lengths.cumsum(out=offsets[1:])
    last = offsets[1:] - 1
    columns = _integer_columns(days)
    dates = _dates(days)

    def refuse(broken: NDArray[np.bool_], column: str, reason: str) -> None:
        if broken.any():
            row = int(np.flatnonzero(broken)[0])
            user = int(last.searchsorted(row))
            raise RequestError(locate(user, row - int(offsets[user]), column), reason)

    by_type = sum(columns[name] for name in schema.PAGE_VIEWS_BY_TYPE)
    contradictory = columns[schema.TOTAL_PAGE_VIEWS] != by_type
    refuse(contradictory, schema.TOTAL_PAGE_VIEWS, "It must be the sum of the page views by type.")
    for hour in (schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR):
        missing = (columns[schema.HOURLY_VISITS] >> columns[hour]) & 1 == 0
        missing[last] = False
        refuse(missing, schema.HOURLY_VISITS, f"The bit of {hour} must be set.")

    columns |= {schema.VISIT_DATE: dates, schema.PLATFORM: _platforms(days)}
    steps = dates[1:] - dates[:-1]
    steps[last[:-1]] = 1  # from one user to the next
    if (steps <= 0).any():
        user = np.arange(len(users)).repeat(lengths)
        late = dates >= dates[last[user]]
        late[last] = False
        if late.any():
            number = int(user[np.flatnonzero(late)[0]])
            raise RequestError(locate(number, None, "date"), "The day to forecast must be later than all visits.")
        # The day to forecast is the latest, so it stays last.
        order = np.lexsort((dates, user))
        columns = {name: values[order] for name, values in columns.items()}
        repeated = np.zeros(len(days), dtype=bool)
        repeated[order[1:]] = (np.diff(user) == 0) & (np.diff(columns[schema.VISIT_DATE]) == 0)
        refuse(repeated, schema.VISIT_DATE, "A user's day must appear once.")

    ids = np.array([user["user_id"] for user in users], dtype=np.str_)
    return of_columns(ids, offsets, columns)


def _integer_columns(days: Sequence[Visit]) -> dict[str, NDArray[Any]]:
    values = np.fromiter(chain.from_iterable(map(_integers_of, days)), np.int64, len(days) * len(_INTEGERS))
    return dict(zip(_INTEGERS, values.reshape(-1, len(_INTEGERS)).T, strict=True))


def _dates(days: Sequence[Visit]) -> NDArray[np.int64]:
    return np.fromiter(map(date.toordinal, map(_date_of, days)), np.int64, len(days)) - EPOCH.toordinal()


def _platforms(days: Sequence[Visit]) -> NDArray[np.int8]:
    names = list(map(_platform_of, days))
    codes = {name: platform_code(name) for name in set(names)}
    return np.fromiter(map(codes.__getitem__, names), np.int8, len(names))
