"""From users as they came to the arrays that forecasts are made of."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.errors import RequestError
from serving.json_requests import VISIT_COLUMNS, Locate, User, locate_in_json
from visitcast import schema
from visitcast.dataset import Dataset, of_columns, platform_codes

_INTEGERS = tuple(column.name for column in VISIT_COLUMNS if column.kind == "integer")
_integers_of = itemgetter(*_INTEGERS)


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
    user = np.repeat(np.arange(len(users)), lengths)
    starts = np.cumsum(lengths) - lengths

    integers = np.array([_integers_of(visit) for visit in visits], dtype=np.int64).reshape(-1, len(_INTEGERS))
    columns: dict[str, NDArray[Any]] = dict(zip(_INTEGERS, integers.T, strict=True))
    columns[schema.VISIT_DATE] = _days([visit[schema.VISIT_DATE] for visit in visits])
    targets = _days([user["date"] for user in users])

    def refuse(broken: NDArray[np.bool_], column: str, reason: str) -> None:
        if broken.any():
            row = int(np.flatnonzero(broken)[0])
            raise RequestError(locate(int(user[row]), row - int(starts[user[row]]), column), reason)

    total = columns[schema.TOTAL_PAGE_VIEWS]
    by_type = sum(columns[name] for name in schema.PAGE_VIEWS_BY_TYPE)
    refuse(total != by_type, schema.TOTAL_PAGE_VIEWS, "It must be the sum of the page views by type.")
    for hour in (schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR):
        missing = (columns[schema.HOURLY_VISITS] >> columns[hour]) & 1 == 0
        refuse(missing, schema.HOURLY_VISITS, f"The bit of {hour} must be set.")
    late = columns[schema.VISIT_DATE] >= targets[user]
    if late.any():
        number = int(user[np.flatnonzero(late)[0]])
        raise RequestError(locate(number, None, "date"), "The day to forecast must be later than all visits.")

    # The day to forecast is the latest, so it comes last.
    all_users = np.concatenate([user, np.arange(len(users))])
    dates = np.concatenate([columns[schema.VISIT_DATE], targets])
    order = np.lexsort((dates, all_users))
    repeated = np.zeros(len(order), dtype=bool)
    repeated[order[1:]] = (np.diff(all_users[order]) == 0) & (np.diff(dates[order]) == 0)
    refuse(repeated[: len(visits)], schema.VISIT_DATE, "A user's day must appear once.")

    columns[schema.PLATFORM] = _platforms([visit[schema.PLATFORM] for visit in visits])
    known = {schema.VISIT_DATE: targets}  # of the day to forecast; the rest is 0

    def column(name: str) -> NDArray[Any]:
        of_targets = known.get(name, np.zeros(len(users), dtype=columns[name].dtype))
        return np.concatenate([columns[name], of_targets])[order]

    ids = np.array([user["user_id"] for user in users], dtype=np.str_)
    return of_columns(ids, np.concatenate([[0], np.cumsum(lengths + 1)]), column)


def _days(dates: list[Any]) -> NDArray[np.int64]:
    return np.array(dates, dtype="datetime64[D]").astype(np.int64)


def _platforms(names: list[str]) -> NDArray[np.int8]:
    return platform_codes(np.array(names, dtype=np.str_)) if names else np.zeros(0, dtype=np.int8)
