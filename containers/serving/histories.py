"""From users as they came to the arrays that forecasts are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from serving.errors import RequestError
from serving.json_requests import VISIT_COLUMNS, Locate, User, Visit, locate_in_json
from visitcast import schema
from visitcast.dataset import Dataset, of_columns, platform_code

_INTEGERS: Final = tuple(column.name for column in VISIT_COLUMNS if column.kind == "integer")
_integers_of = itemgetter(*_INTEGERS)
_visit_date_of = itemgetter(schema.VISIT_DATE)
_platform_of = itemgetter(schema.PLATFORM)
_EPOCH: Final = date(1970, 1, 1).toordinal()


def to_dataset(users: Sequence[User], locate: Locate = locate_in_json) -> Dataset:
    """Check what one value alone does not show, sort, and append to every user the day to forecast.

    Parameters
    ----------
    users : sequence of User
        Valid each by itself; visits in any order. A user may come twice, for two days.
    locate : callable
        Names the place of an error.

    Returns
    -------
    Dataset
        Users in the order given; the last row of each is the day to forecast, all zero but its date.

    Raises
    ------
    RequestError
        A visit contradicts itself, a day comes twice, or the day to forecast is not after all visits.
    """
    lengths = np.array([len(user["visits"]) for user in users], dtype=np.int64)
    visits = [visit for user in users for visit in user["visits"]]
    user = np.arange(len(users)).repeat(lengths)
    integers = _integers(visits)
    dates = _days(map(_visit_date_of, visits), len(visits))
    targets = _days((user["date"] for user in users), len(users))

    def refuse(broken: NDArray[np.bool_], column: str, reason: str) -> None:
        if broken.any():
            row = int(np.flatnonzero(broken)[0])
            first_row = int(lengths[: user[row]].sum())
            raise RequestError(locate(int(user[row]), row - first_row, column), reason)

    columns = dict(zip(_INTEGERS, integers.T, strict=True))
    by_type = sum(columns[name] for name in schema.PAGE_VIEWS_BY_TYPE)
    broken = columns[schema.TOTAL_PAGE_VIEWS] != by_type
    refuse(broken, schema.TOTAL_PAGE_VIEWS, "It must be the sum of the page views by type.")
    for hour in (schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR):
        missing = (columns[schema.HOURLY_VISITS] >> columns[hour]) & 1 == 0
        refuse(missing, schema.HOURLY_VISITS, f"The bit of {hour} must be set.")

    same_user = user[1:] == user[:-1]
    platforms = _platforms(list(map(_platform_of, visits)))
    late = dates >= targets[user]
    if late.any():
        number = int(user[np.flatnonzero(late)[0]])
        raise RequestError(locate(number, None, "date"), "The day to forecast must be later than all visits.")
    if (same_user & (dates[1:] <= dates[:-1])).any():
        order = np.lexsort((dates, user))
        dates, platforms, integers = dates[order], platforms[order], integers[order]
        repeated = np.zeros(len(visits), dtype=bool)
        repeated[order[1:]] = same_user & (dates[1:] == dates[:-1])
        refuse(repeated, schema.VISIT_DATE, "A user's day must appear once.")

    # The day to forecast is the latest, so it comes last.
    offsets = np.concatenate([[0], np.cumsum(lengths + 1)])
    rows = np.arange(len(visits)) + user

    def with_targets(values: NDArray[Any], of_targets: Any = 0) -> NDArray[Any]:
        joined = np.empty((offsets[-1], *values.shape[1:]), dtype=values.dtype)
        joined[rows] = values
        joined[offsets[1:] - 1] = of_targets
        return joined

    columns = dict(zip(_INTEGERS, with_targets(integers).T, strict=True))
    columns[schema.VISIT_DATE] = with_targets(dates, targets)
    columns[schema.PLATFORM] = with_targets(platforms)
    ids = np.array([user["user_id"] for user in users], dtype=np.str_)
    return of_columns(ids, offsets, columns.__getitem__)


def _integers(visits: Sequence[Visit]) -> NDArray[np.int64]:
    """Read the integer columns, [visits, columns]."""
    flat = chain.from_iterable(map(_integers_of, visits))
    return np.fromiter(flat, np.int64, len(visits) * len(_INTEGERS)).reshape(-1, len(_INTEGERS))


def _days(dates: Iterable[date], count: int) -> NDArray[np.int64]:
    return np.fromiter(map(date.toordinal, dates), np.int64, count) - _EPOCH


def _platforms(names: Sequence[str]) -> NDArray[np.int8]:
    codes = {name: platform_code(name) for name in set(names)}
    return np.fromiter(map(codes.__getitem__, names), np.int8, len(names))
