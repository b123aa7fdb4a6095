"""Decayed hour histograms of every user before every visit day.

A histogram says how often a user came in each hour so far; older days count less. Row t of the result uses days before
t only, so it may be a feature of t.

There are two algorithms. Training needs the histograms before all rows: one scan takes users together, position by
position in their histories. An endpoint needs them before each user's last row alone, where a scan would take longer
than the network: it sums the days' weights at the end instead.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.calendar import is_weekend, weekday
from visitcast.data.dataset import Dataset, days_since_last_visit, hour_bits, hour_flags, select_users
from visitcast.data.schedule import first_known
from visitcast.data.schema import HOURS


class Counted(Enum):
    """Earlier days that a histogram counts."""

    ALL = 0
    SAME_DAY_TYPE = 1
    """Working days before a working day, weekend days before a weekend day."""
    SAME_WEEKDAY = 2


class Channel(IntEnum):
    """Kinds of histogram; the value is the position in the result of :func:`decayed_histograms`.

    ``FIRST`` counts first-visit hours, ``VISITED`` every hour visited.

    Attributes
    ----------
    counted : Counted
        Days that count.
    half_life : float
        Number of later counted days after which a day weighs half as much; calendar days for
        ``FIRST_30_CALENDAR_DAYS``.
    """

    counted: Counted
    half_life: float

    def __new__(cls, position: int, counted: Counted, half_life: float) -> Channel:
        """Make a channel, which is the integer of its position."""
        channel = int.__new__(cls, position)
        channel._value_ = position
        channel.counted, channel.half_life = counted, half_life
        return channel

    FIRST_ALL = 0, Counted.ALL, inf
    FIRST_40 = 1, Counted.ALL, 40
    FIRST_10 = 2, Counted.ALL, 10
    FIRST_3 = 3, Counted.ALL, 3
    FIRST_30_CALENDAR_DAYS = 4, Counted.ALL, 30
    FIRST_SAME_DAY_TYPE_40 = 5, Counted.SAME_DAY_TYPE, 40
    FIRST_SAME_WEEKDAY_10 = 6, Counted.SAME_WEEKDAY, 10
    VISITED_ALL = 7, Counted.ALL, inf
    VISITED_15 = 8, Counted.ALL, 15
    VISITED_3 = 9, Counted.ALL, 3
    VISITED_SAME_WEEKDAY_10 = 10, Counted.SAME_WEEKDAY, 10


VISITED_CHANNELS: Final = tuple(channel for channel in Channel if channel >= Channel.VISITED_ALL)

_CALENDAR: Final = Channel.FIRST_30_CALENDAR_DAYS
_FIRST: Final = slice(Channel.FIRST_ALL, Channel.VISITED_ALL)
_VISITED: Final = slice(Channel.VISITED_ALL, len(Channel))
_DECAY: Final = np.array([1.0 if channel == _CALENDAR else 0.5 ** (1 / channel.half_life) for channel in Channel])
"""Factor for each later day that counts; the calendar channel decays with the days between visits instead."""
_SINCE_EVE: Final = np.ones(len(Channel), dtype=np.float32)
_SINCE_EVE[_CALENDAR] = 0.5 ** (1 / _CALENDAR.half_life)
"""Weight of the day before in each channel that counts it."""
_KINDS: Final[dict[Counted, tuple[int, Callable[[NDArray[Any]], NDArray[Any]]]]] = {
    Counted.SAME_DAY_TYPE: (2, is_weekend),
    Counted.SAME_WEEKDAY: (7, weekday),
}
"""Number of kinds of days, and the kind of each date."""
_DAYS_BEHIND: Final = {
    Channel.VISITED_ALL: Channel.FIRST_ALL,
    Channel.VISITED_15: Channel.FIRST_ALL,
    Channel.VISITED_3: Channel.FIRST_ALL,
    Channel.VISITED_SAME_WEEKDAY_10: Channel.FIRST_SAME_WEEKDAY_10,
}
"""A first-hour channel that counts the same days, each in one hour."""
_DAYS_OF: Final = [_DAYS_BEHIND.get(channel, channel) for channel in Channel]
_UNDECAYED: Final = [channel for channel in Channel if channel.half_life != _DAYS_OF[channel].half_life]
"""Channels that decay differently from the channel that counts their days."""
_CHANNELS: Final = np.arange(len(Channel))[:, None]
_ROWS_OF_A_BLOCK: Final = 100_000


def _calendar_decay(days: NDArray[np.int32]) -> NDArray[np.float64]:
    decay: NDArray[np.float64] = 0.5 ** (days / _CALENDAR.half_life)
    return decay


def decayed_histograms(dataset: Dataset) -> NDArray[np.float32]:
    """Compute the histograms of every user before every visit day.

    Additions and multiplications have the same order for one user as for many: results are bit-equal.

    Parameters
    ----------
    dataset : Dataset
        Visit days; the last rows may be days to forecast.

    Returns
    -------
    float32 array [N, len(Channel), 24]
        Decayed counts; zero on a user's first day.
    """
    lengths = np.diff(dataset.offsets)
    # Longest first, so that the users who still have days are a prefix: as many steps as the longest history.
    longest_first = np.argsort(-lengths, kind="stable")
    starts = dataset.offsets[:-1][longest_first]
    # active[p]: users with more than p visit days.
    active = len(lengths) - np.searchsorted(np.sort(lengths), np.arange(lengths.max(initial=0)), side="right")

    first = np.eye(HOURS, dtype=np.float32)[dataset.first_visit_hour]
    visited = hour_flags(dataset.hourly_visits)
    gap = days_since_last_visit(dataset)
    calendar_decay = _calendar_decay(gap).astype(np.float32)
    decay = _DECAY.astype(np.float32)[:, None]

    out = np.empty((dataset.visit_days, len(Channel), HOURS), dtype=np.float32)
    state = np.zeros((len(lengths), len(Channel), HOURS), dtype=np.float32)
    # Channels that count days of the target's kind have a state per kind, which changes only on such days.
    by_kind = []
    for counted, (kinds, kind_of) in _KINDS.items():
        channels = [channel for channel in Channel if channel.counted is counted]
        states = np.zeros((len(lengths), kinds, len(channels), HOURS), dtype=np.float32)
        by_kind.append((channels, kind_of(dataset.visit_date).astype(np.int64), states))
    for position, users in enumerate(active):
        rows = starts[:users] + position
        now = state[:users]
        now[:, _CALENDAR] *= calendar_decay[rows, None]
        for channels, kind, states in by_kind:
            now[:, channels] = states[np.arange(users), kind[rows]]
        out[rows] = now
        now *= decay
        now[:, _FIRST] += first[rows, None]
        now[:, _VISITED] += visited[rows, None]
        for channels, kind, states in by_kind:
            states[np.arange(users), kind[rows]] = now[:, channels]
    return out


def with_eve_so_far(
    dataset: Dataset, rows: NDArray[np.int64], histograms: NDArray[np.float32], known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Take the hours of the day before that are not known yet out of histograms, float32 [rows, len(Channel), 24].

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    rows : int64 array [rows]
        Days whose user came on the day before too.
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms before each of them.
    known : bool array [rows, 24]
        Hours of the day before with a known visit; where there is none, the day does not count.
    """
    eve = rows - 1
    seen: NDArray[np.bool_] = np.asarray(known.any(axis=1))
    first_hour = dataset.first_visit_hour[eve]
    first = np.eye(HOURS, dtype=np.float32)[first_hour]
    first -= np.eye(HOURS, dtype=np.float32)[first_known(known, first_hour)] * seen[:, None]
    visited = hour_flags(dataset.hourly_visits[eve]) * ~known
    out = histograms.copy()
    for channel in Channel:
        counts = _same_kind(channel, dataset.visit_date[eve], dataset.visit_date[rows])
        out[:, channel] -= (visited if channel in VISITED_CHANNELS else first) * (counts * _SINCE_EVE[channel])[:, None]
        # Without the day, those before it have not decayed.
        out[:, channel] /= np.where(seen | ~counts, np.float32(1), np.float32(_DECAY[channel]))[:, None]
    return out


def _same_kind(channel: Channel, one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return whether a channel before the other dates counts the dates, [rows] each."""
    if channel.counted is Counted.ALL:
        return np.ones(len(one), dtype=np.bool_)
    _, kind_of = _KINDS[channel.counted]
    return np.asarray(kind_of(one) == kind_of(other))


def histograms_before(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Compute the histograms before some rows, float32 [rows, len(Channel), 24]: ``decayed_histograms(dataset)[rows]``.

    Users are processed block by block, so that memory holds the result and one block.

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
    """Compute the histograms of every user before the user's last row alone, float32 [U, len(Channel), 24].

    The same as :func:`decayed_histograms` at ``offsets[1:] - 1``, up to rounding, some forty times as fast. Each user
    must have a row.
    """
    last = dataset.offsets[1:] - 1
    users = len(last)
    earlier_days = last - dataset.offsets[:-1]
    user = np.arange(users).repeat(earlier_days)
    rows = np.arange(len(user)) + user  # Skips the last row of every earlier user.

    date = dataset.visit_date
    target = last[user]
    counted = np.ones((len(Counted), len(user)), dtype=bool)
    for days, (_, kind_of) in _KINDS.items():
        kind = kind_of(date)
        counted[days.value] = kind[target] == kind[rows]

    # Counted days since each day. Days that do not count get the greatest age, whose weight is zero.
    oldest = int(np.maximum.reduce(earlier_days, initial=0))
    ages = np.where(counted, _later_in_user(counted, user, earlier_days), oldest)
    powers = _DECAY[:, None] ** np.arange(oldest + 1.0)
    powers[:, oldest] = 0
    weights = powers[_CHANNELS, ages.take([channel.counted.value for channel in Channel], axis=0)]
    weights[_CALENDAR] = _calendar_decay(date[target] - date[rows])

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


def visit_days_behind(histograms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Count the visit days behind every channel, decayed as the channel is: 1 + a + a^2 + ..., a term for each day.

    One day may count in several hours, so the sum of a channel of hours visited is not its number of days.

    Parameters
    ----------
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms before each day.

    Returns
    -------
    float32 array [rows, len(Channel)]
        Days.
    """
    days: NDArray[np.float32] = histograms[:, _FIRST].sum(axis=2).take(_DAYS_OF, axis=1)
    decay = _DECAY[_UNDECAYED]
    days[:, _UNDECAYED] = (1 - decay ** days[:, _UNDECAYED].astype(np.float64)) / (1 - decay)
    return days
