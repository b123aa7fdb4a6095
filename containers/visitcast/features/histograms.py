"""Decayed hour histograms of every user BEFORE every visit day, for all rows in one scan.

A histogram says how often a user came in each hour so far, older days counting less. Row t of the result uses days
before t only, so it may serve as a feature of t. Users are scanned together, position by position in their histories
(longest first, so that the users still active are a prefix): as many steps as the longest history, no loop over rows.
Additions and multiplications happen in the same order for one user as for many: results are bit-equal.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.calendar import is_weekend, weekday
from visitcast.data.dataset import Dataset, days_since_last_visit, hour_bits, hour_flags, select_users
from visitcast.data.schema import HOURS


class Channel(IntEnum):
    """Kinds of histogram; the value is the position in the result of :func:`decayed_histograms`.

    Half-lives count in visit days unless the name says otherwise. ``FIRST`` counts first-visit hours, ``VISITED``
    every hour visited.
    """

    FIRST_ALL = 0
    FIRST_40 = 1
    FIRST_10 = 2
    FIRST_3 = 3
    FIRST_30_CALENDAR_DAYS = 4
    FIRST_SAME_DAY_TYPE_40 = 5
    """Only days of the target's type (working day or weekend), half-life 40 such days."""
    FIRST_SAME_WEEKDAY_10 = 6
    """Only days of the target's day of the week, half-life 10 such days."""
    VISITED_ALL = 7
    VISITED_15 = 8
    VISITED_3 = 9
    VISITED_SAME_WEEKDAY_10 = 10


VISITED_CHANNELS: Final = tuple(channel for channel in Channel if channel >= Channel.VISITED_ALL)

_FIRST: Final = slice(Channel.FIRST_ALL, Channel.VISITED_ALL)
_VISITED: Final = slice(Channel.VISITED_ALL, len(Channel))
_DECAYING_VISITED: Final = range(Channel.VISITED_15, Channel.VISITED_3 + 1)
_SAME_WEEKDAY: Final = (Channel.FIRST_SAME_WEEKDAY_10, Channel.VISITED_SAME_WEEKDAY_10)

CALENDAR_HALF_LIFE_DAYS: Final = 30.0
_ROWS_OF_A_BLOCK: Final = 100_000

# Factor per visit day. The calendar channel decays by the gap in days instead, the channels of a day type or a weekday
# (one for each of them, kept beside) only on a day of their kind.
_DECAY_PER_VISIT: Final = {
    Channel.FIRST_ALL: 1.0,
    Channel.FIRST_40: 0.5 ** (1 / 40),
    Channel.FIRST_10: 0.5 ** (1 / 10),
    Channel.FIRST_3: 0.5 ** (1 / 3),
    Channel.FIRST_30_CALENDAR_DAYS: 1.0,
    Channel.FIRST_SAME_DAY_TYPE_40: 0.5 ** (1 / 40),
    Channel.FIRST_SAME_WEEKDAY_10: 0.5 ** (1 / 10),
    Channel.VISITED_ALL: 1.0,
    Channel.VISITED_15: 0.5 ** (1 / 15),
    Channel.VISITED_3: 0.5 ** (1 / 3),
    Channel.VISITED_SAME_WEEKDAY_10: 0.5 ** (1 / 10),
}
_DECAY: Final = np.array([_DECAY_PER_VISIT[channel] for channel in Channel])
_DAYS_OF: Final = (
    *range(Channel.FIRST_ALL, Channel.VISITED_ALL),
    Channel.FIRST_ALL,
    Channel.FIRST_ALL,
    Channel.FIRST_ALL,
    Channel.FIRST_SAME_WEEKDAY_10,
)
"""Channel of first-visit hours that has the days of each channel, but for its decay."""
_CHANNELS: Final = np.arange(len(Channel))[:, None]
_ALL_DAYS, _DAY_TYPE, _WEEKDAY = range(3)
_COUNTED_DAYS: Final = np.full(len(Channel), _ALL_DAYS)
"""Kind of days that each channel counts."""
_COUNTED_DAYS[Channel.FIRST_SAME_DAY_TYPE_40] = _DAY_TYPE
_COUNTED_DAYS[list(_SAME_WEEKDAY)] = _WEEKDAY


def decayed_histograms(dataset: Dataset) -> NDArray[np.float32]:
    """Histograms of every user before every visit day.

    Parameters
    ----------
    dataset : Dataset
        Visit days; the last rows may be target days (see :func:`visitcast.data.dataset.with_target_days`).

    Returns
    -------
    float32 array [N, len(Channel), 24]
        Decayed counts; zero on a user's first day.
    """
    lengths = np.diff(dataset.offsets)
    longest_first = np.argsort(-lengths, kind="stable")
    starts = dataset.offsets[:-1][longest_first]
    # active[p]: users with more than p visit days.
    active = len(lengths) - np.searchsorted(np.sort(lengths), np.arange(lengths.max(initial=0)), side="right")

    first = np.eye(HOURS, dtype=np.float32)[dataset.first_visit_hour]
    visited = hour_flags(dataset.hourly_visits)
    calendar_decay = (0.5 ** (days_since_last_visit(dataset) / CALENDAR_HALF_LIFE_DAYS)).astype(np.float32)
    day_type_of_row = is_weekend(dataset.visit_date).astype(np.int64)
    weekday_of_row = weekday(dataset.visit_date)
    decay = _DECAY.astype(np.float32)[:, None]
    same_type = Channel.FIRST_SAME_DAY_TYPE_40

    out = np.empty((dataset.visit_days, len(Channel), HOURS), dtype=np.float32)
    state = np.zeros((len(lengths), len(Channel), HOURS), dtype=np.float32)
    by_day_type = np.zeros((len(lengths), 2, HOURS), dtype=np.float32)
    by_weekday = np.zeros((len(lengths), 7, len(_SAME_WEEKDAY), HOURS), dtype=np.float32)
    for position, users in enumerate(active):
        rows = starts[:users] + position
        now = state[:users]
        now[:, Channel.FIRST_30_CALENDAR_DAYS] *= calendar_decay[rows, None]
        day_type = (np.arange(users), day_type_of_row[rows])
        same_day = (np.arange(users), weekday_of_row[rows])
        now[:, same_type] = by_day_type[day_type]
        now[:, _SAME_WEEKDAY] = by_weekday[same_day]
        out[rows] = now
        now *= decay
        now[:, _FIRST] += first[rows, None]
        now[:, _VISITED] += visited[rows, None]
        by_day_type[day_type] = now[:, same_type]
        by_weekday[same_day] = now[:, _SAME_WEEKDAY]
    return out


def histograms_before(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Histograms before some rows, float32 [rows, len(Channel), 24]: ``decayed_histograms(dataset)[rows]``.

    Users are taken block by block, so that memory holds what is asked for and one block.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    rows : int64 array [rows]
        Rows, ascending.
    """
    out = np.empty((len(rows), len(Channel), HOURS), dtype=np.float32)
    first_user = 0
    while first_user < dataset.users:
        first_row = dataset.offsets[first_user]
        room = np.searchsorted(dataset.offsets, first_row + _ROWS_OF_A_BLOCK, side="right") - 1
        stop_user = max(int(room), first_user + 1)
        here = slice(*np.searchsorted(rows, dataset.offsets[[first_user, stop_user]]))
        if here.start < here.stop:
            block = select_users(dataset, slice(first_user, stop_user))
            out[here] = decayed_histograms(block)[rows[here] - first_row]
        first_user = stop_user
    return out


def last_histograms(dataset: Dataset) -> NDArray[np.float32]:
    """Histograms of every user before the user's last row alone, float32 [U, len(Channel), 24].

    What :func:`decayed_histograms` gives at ``offsets[1:] - 1``, up to rounding, from each day's weight at the end
    instead of by a scan: some forty times as fast. Each user must have a row.
    """
    last = dataset.offsets[1:] - 1
    users = len(last)
    earlier_days = last - dataset.offsets[:-1]
    user = np.arange(users).repeat(earlier_days)
    rows = np.arange(len(user)) + user  # Each user before has one row that is left out, the last.

    date = dataset.visit_date
    weekend = is_weekend(date)
    target = last[user]
    days_ago = date[target] - date[rows]
    counted = np.empty((3, len(user)), dtype=bool)
    counted[_ALL_DAYS] = True
    counted[_DAY_TYPE] = weekend[target] == weekend[rows]
    counted[_WEEKDAY] = days_ago % 7 == 0

    # How many counted days came since; days that do not count are older than any that does, and weigh nothing.
    oldest = int(np.maximum.reduce(earlier_days, initial=0))
    ages = np.where(counted, _later_in_user(counted, user, earlier_days), oldest)
    powers = _DECAY[:, None] ** np.arange(oldest + 1.0)
    powers[:, oldest] = 0
    weights = powers[_CHANNELS, ages.take(_COUNTED_DAYS, axis=0)]
    weights[Channel.FIRST_30_CALENDAR_DAYS] = 0.5 ** (days_ago / CALENDAR_HALF_LIFE_DAYS)

    out = np.empty((users, len(Channel), HOURS), dtype=np.float32)
    out[:, _FIRST] = _totals(user, dataset.first_visit_hour[rows], weights[_FIRST], users)
    visit, hour = hour_bits(dataset.hourly_visits[rows]).nonzero()
    out[:, _VISITED] = _totals(user[visit], hour, weights[_VISITED].take(visit, axis=1), users)
    return out


def _totals(
    user: NDArray[np.int64], hour: NDArray[Any], weights: NDArray[np.float64], users: int
) -> NDArray[np.float64]:
    """Sum weights [channels, entries] by user and hour, [users, channels, 24]; in the order of the entries."""
    channels = len(weights)
    bins = user * (channels * HOURS) + hour + _CHANNELS[:channels] * HOURS
    totals: NDArray[Any] = np.bincount(bins.ravel(), weights.ravel(), minlength=users * channels * HOURS)
    return totals.reshape(users, channels, HOURS)


def _later_in_user(
    flags: NDArray[np.bool_], user: NDArray[np.int64], rows_of_user: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Count the set flags [kinds, rows] after each row among the rows of its user."""
    so_far = flags.cumsum(axis=1)
    last = rows_of_user.cumsum() - 1
    later: NDArray[np.int64] = so_far.take(last[user], axis=1) - so_far
    return later


def shares(
    counts: NDArray[np.float32],
    prior: NDArray[np.float32],
    prior_weight: float,
    total: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Mix counts with a prior: ``(counts + k * prior) / (total + k)``, the mean of a Dirichlet posterior.

    Parameters
    ----------
    counts : float32 array [..., 24]
        Decayed counts.
    prior : float32 array [24] or [..., 24]
        Shares of the hours over all users.
    prior_weight : float
        How many visit days the prior is worth, k.
    total : float32 array [..., 1], optional
        Visit days behind the counts. Default: their sum over the hours.
    """
    weight = np.float32(prior_weight)
    days = np.add.reduce(counts, axis=-1, keepdims=True) if total is None else total
    mixed = counts + weight * prior
    mixed /= days + weight
    return mixed


def visit_days_behind(channel: Channel, histograms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Count the visit days behind a channel of hours visited, decayed as the channel is.

    One day may count in several hours, so the channel's own sum is not the number of days.

    Parameters
    ----------
    channel : Channel
        One of ``VISITED_CHANNELS``.
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms before each day.

    Returns
    -------
    float32 array [rows, 1]
        ``1 + a + a^2 + ...``, one term per earlier visit day that the channel counts.
    """
    days: NDArray[np.float32] = histograms[:, _DAYS_OF[channel]].sum(axis=1, keepdims=True)
    return _decayed(days, slice(channel, channel + 1)) if channel in _DECAYING_VISITED else days


def visit_days_behind_all(histograms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Count the visit days behind every channel, [rows, len(Channel)].

    The sum of a channel of first-visit hours; :func:`visit_days_behind` of the others.
    """
    days: NDArray[np.float32] = histograms[:, _FIRST].sum(axis=2).take(_DAYS_OF, axis=1)
    decaying = slice(_DECAYING_VISITED.start, _DECAYING_VISITED.stop)
    days[:, decaying] = _decayed(days[:, decaying], decaying)
    return days


def _decayed(days: NDArray[np.float32], channels: slice) -> NDArray[np.float32]:
    """Sum the geometric series of each channel's decay over its days, [rows, channels]."""
    decay = _DECAY[channels]
    decayed: NDArray[np.float32] = ((1 - decay ** days.astype(np.float64)) / (1 - decay)).astype(np.float32)
    return decayed
