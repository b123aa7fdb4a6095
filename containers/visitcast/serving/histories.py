"""Convert the users of a request to the arrays that a forecast needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.calendar import EPOCH
from visitcast.data.dataset import Dataset, of_columns, platform_code
from visitcast.data.schedule import minutes_of, over_everywhere
from visitcast.serving.errors import MISSING, RequestError
from visitcast.serving.json_requests import Locate, User

_INTEGERS: Final = tuple(column for column in schema.DAY_COLUMNS if column.kind == "integer")
_COLUMNS: Final = tuple(column.name for column in schema.DAY_COLUMNS)
_columns_of = itemgetter(*_COLUMNS)
_LARGEST: Final = int(np.iinfo(np.int64).max)
_NO_VISITS: Final = dict.fromkeys(_COLUMNS, ())

Visits = Mapping[str, Sequence[Any]]


def to_dataset(users: Sequence[User], locate: Locate) -> Dataset:
    """Check rules that span several values, sort, and append the day to forecast to every user.

    Parameters
    ----------
    users : sequence of User
        Each valid by itself; visits in any order, in either form. A user may appear twice, for two days.
    locate : callable
        Names the place of an error.

    Returns
    -------
    Dataset
        Users in the order given; the last row of each is the day to forecast, all zero but its date.

    Raises
    ------
    RequestError
        A key of a visit is missing, a number is out of range, a visit contradicts itself, a day appears twice, the day
        to forecast is not after all visits, or arrays of visits are not equally long.
    """
    visits = [_by_column(user, number, locate) for number, user in enumerate(users)]
    lengths = np.array([len(of_user[schema.VISIT_DATE]) + 1 for of_user in visits], dtype=np.int64)
    offsets = np.zeros(len(users) + 1, dtype=np.int64)
    lengths.cumsum(out=offsets[1:])
    last = offsets[1:] - 1
    days = int(offsets[-1])
    columns: dict[str, NDArray[Any]] = {column.name: _integers(visits, column.name, days) for column in _INTEGERS}
    dates = _dates(visits, users, days)

    def refuse(broken: NDArray[np.bool_], column: str, reason: str) -> None:
        if broken.any():
            row = int(np.flatnonzero(broken)[0])
            user = int(last.searchsorted(row))
            raise RequestError(locate(user, row - int(offsets[user]), column), reason)

    for column in _INTEGERS:
        outside = (columns[column.name] < column.minimum) | (columns[column.name] > column.maximum)
        outside[last] = False
        refuse(outside, column.name, f"It must be between {column.minimum} and {column.maximum}.")
    by_type = sum(columns[name] for name in schema.PAGE_VIEWS_BY_TYPE)
    contradictory = columns[schema.TOTAL_PAGE_VIEWS] != by_type
    refuse(contradictory, schema.TOTAL_PAGE_VIEWS, "It must be the sum of the page views by type.")
    for hour in (schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR):
        missing = (columns[schema.HOURLY_VISITS] >> columns[hour]) & 1 == 0
        missing[last] = False
        refuse(missing, schema.HOURLY_VISITS, f"The bit of {hour} must be set.")

    columns |= {schema.VISIT_DATE: dates, schema.PLATFORM: _platforms(visits, days)}
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
        repeated = np.zeros(days, dtype=bool)
        repeated[order[1:]] = (np.diff(user) == 0) & (np.diff(columns[schema.VISIT_DATE]) == 0)
        refuse(repeated, schema.VISIT_DATE, "A user's day must appear once.")

    ids = np.array([user["user_id"] for user in users], dtype=np.str_)
    return of_columns(ids, offsets, columns)


def as_of(users: Sequence[User], dataset: Dataset) -> NDArray[np.int64]:
    """Return the instant of each user at which the visits end, minutes since 1970-01-01T00:00Z, int64 [users].

    By default the days before the day to forecast, the last row of each user in the dataset, are over.
    """
    instants = over_everywhere(dataset.visit_date[dataset.offsets[1:] - 1])
    for number, user in enumerate(users):
        if (instant := user.get("as_of")) is not None:
            instants[number] = minutes_of(instant)
    return instants


def _by_column(user: User, number: int, locate: Locate) -> Visits:
    """Return a user's visits as equally long sequences by column."""
    visits: Any = user["visits"]
    if isinstance(visits, dict):
        return _equally_long(visits, number, locate)
    if not visits:
        return _NO_VISITS
    try:
        return dict(zip(_COLUMNS, zip(*map(_columns_of, visits), strict=True), strict=True))
    except KeyError:
        missing = ((visit, name) for visit, read in enumerate(visits) for name in _COLUMNS if name not in read)
        raise RequestError(locate(number, *next(missing)), MISSING) from None


def _equally_long(visits: Visits, number: int, locate: Locate) -> Visits:
    for name in _COLUMNS:
        if name not in visits:
            raise RequestError(locate(number, None, f"visits.{name}"), MISSING)
    wanted = len(visits[schema.VISIT_DATE])
    for name, values in visits.items():
        if len(values) != wanted:
            reason = f"It has {len(values)} values, and {schema.VISIT_DATE} has {wanted}."
            raise RequestError(locate(number, None, f"visits.{name}"), reason)
    return visits


def _integers(visits: Sequence[Visits], name: str, days: int) -> NDArray[np.int64]:
    """Join the values of a column, and 0 for each day to forecast."""
    values = chain.from_iterable((*of_user[name], 0) for of_user in visits)
    try:
        return np.fromiter(values, np.int64, days)
    except OverflowError:
        # A number of more than 64 bits is outside of every range, like the largest of 64 bits.
        clipped = (min(max(value, -_LARGEST), _LARGEST) for of_user in visits for value in (*of_user[name], 0))
        return np.fromiter(clipped, np.int64, days)


def _dates(visits: Sequence[Visits], users: Sequence[User], days: int) -> NDArray[np.int64]:
    pairs = zip(visits, users, strict=True)
    dates = chain.from_iterable((*of_user[schema.VISIT_DATE], user["date"]) for of_user, user in pairs)
    return np.fromiter(map(date.toordinal, dates), np.int64, days) - EPOCH.toordinal()


def _platforms(visits: Sequence[Visits], days: int) -> NDArray[np.int8]:
    names = [name for of_user in visits for name in (*of_user[schema.PLATFORM], schema.PLATFORMS[0])]
    codes = {name: platform_code(name) for name in set(names)}
    return np.fromiter(map(codes.__getitem__, names), np.int8, days)
