"""Forecasts of users as a pandas DataFrame, for work in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np

from visitcast.data import schema
from visitcast.data.calendar import days_since_epoch
from visitcast.data.dataset import Dataset, concatenate, require_dataset, select_users, with_target_days
from visitcast.data.instants import read_instant
from visitcast.data.schedule import minutes_of
from visitcast.errors import InputError
from visitcast.forecasting.forecaster import forecast_last
from visitcast.model.bundle import Bundle

if TYPE_CHECKING:
    import pandas as pd


def forecast(
    model: Bundle,
    visits: Dataset,
    day: date | str,
    users: Sequence[str] | None = None,
    as_of: datetime | str | None = None,
) -> pd.DataFrame:
    """Forecast a day for users, as the endpoint does.

    Parameters
    ----------
    model : Bundle
        What :func:`visitcast.fit` or :func:`visitcast.load` returned.
    visits : Dataset
        The users' visit days so far, all before the day to forecast.
    day : date or str
        Local calendar day to forecast; text as ``YYYY-MM-DD``.
    users : sequence of str, optional
        Users to forecast. A user without visits gets the histogram of all users. Default: all users of `visits`.
    as_of : datetime or str, optional
        Instant at which the visits end, with a time zone; text as ISO-8601. Later visits are not used. Default: all
        days before `day` are over.

    Returns
    -------
    DataFrame
        One row per user, indexed by ``user_id``, with the columns of the table ``visit_forecasts``: ``best_hour``,
        ``confidence`` (chance of a visit in that hour), ``source`` (``model``, or ``prior`` below three visit days),
        ``first_visit_hour`` (24 probabilities that sum to 1), ``visit_hour`` (24 chances, given that the user comes
        that day) and ``visit_probability`` (that the user comes that day; NaN for a user without visits).

    Raises
    ------
    InputError
        The day is not a date, or not later than all visits; `as_of` is not an instant; `visits` or `users` is something
        else.
    """
    import pandas as pd  # The serving image does not have it.

    require_dataset(visits)
    if isinstance(users, str):
        raise InputError("The users are one text.", f"It is {users!r}.", "Pass a list of user identifiers.")
    wanted = None if users is None else [str(user) for user in users]
    target = _days(day)
    asked = visits if wanted is None else _of_users(visits, wanted)
    made = forecast_last(
        model,
        with_target_days(asked, np.full(asked.users, target)),
        None if as_of is None else np.full(asked.users, minutes_of(read_instant("as_of", str(as_of)))),
    )
    frame = pd.DataFrame(
        {
            schema.BEST_HOUR: made.best_hour,
            schema.CONFIDENCE: made.confidence,
            schema.SOURCE: made.source,
            schema.FIRST_HOUR_PROBABILITIES: list(made.first_visit_hour),
            schema.HOUR_PROBABILITIES: list(made.visit_hour),
            schema.VISIT_PROBABILITY: made.visit_probability,
        },
        index=pd.Index(asked.user_ids.astype(object), name=schema.USER_ID),
    )
    return frame if wanted is None else frame.loc[wanted]


def _days(day: date | str) -> int:
    try:
        return days_since_epoch(date.fromisoformat(day) if isinstance(day, str) else date(day.year, day.month, day.day))
    except ValueError:
        raise InputError("The day to forecast is not a date.", f"It is {day!r}.", "Use YYYY-MM-DD.") from None


def _of_users(visits: Dataset, users: Sequence[str]) -> Dataset:
    """Keep the visit days of some users, and add those that have none."""
    wanted = np.unique(np.asarray(users, dtype=np.str_))
    known = select_users(visits, np.flatnonzero(np.isin(visits.user_ids, wanted)))
    new = np.setdiff1d(wanted, visits.user_ids)
    without_days = replace(select_users(visits, slice(0)), user_ids=new, offsets=np.zeros(len(new) + 1, dtype=np.int64))
    return concatenate([known, without_days])
