"""Every feature, defined once. Training, evaluation, endpoint and batch jobs all read these tables.

Two groups. *History* features describe a visit day as it was: a sequence model reads row t - 1 to forecast row t.
*Target* features are known before a day begins: its calendar, the days since the last visit and, from
:mod:`visitcast.features.histogram_features`, the user's decayed histograms, which use earlier days only.

``COLUMNS`` says how each column is computed from a dataset; ``HISTORY`` and ``TARGET`` say which columns are features
and how their values become numbers. A feature whose meaning changes needs a new name: a model carries the names of its
features, and an image with other features refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.calendar import SATURDAY, month_and_day, weekday
from visitcast.data.dataset import Dataset, days_since_last_visit, hour_bits, position_in_history
from visitcast.data.schedule import known_flags

Values = NDArray[Any]


@dataclass(frozen=True)
class Days:
    """Some visit days of a dataset, and values of them that several columns need.

    Attributes
    ----------
    dataset : Dataset
        Visit days.
    rows : int64 array [rows] or None
        Row numbers; None for all.
    eve_hours : float64 array [rows] or None
        Hours of the day before that are known when the row is forecast. A visit day before that began later counts as
        none; one that began earlier has to be cut already. None for 24; not with `rows` None.
    """

    dataset: Dataset
    rows: NDArray[np.int64] | None = None
    eve_hours: NDArray[np.float64] | None = None

    def stored(self, name: str) -> Values:
        """Return the values of a column of the dataset, [rows]."""
        values = self.dataset.columns[name]
        return values if self.rows is None else values[self.rows]

    @cached_property
    def hidden_visit(self) -> NDArray[np.bool_] | None:
        """Whether there was a visit on the day before that is not known, [rows]; None if that is never so."""
        if self.rows is None or self.eve_hours is None:
            return None
        known = known_flags(self.dataset.hourly_visits[self.rows - 1], self.eve_hours).any(axis=1)
        hidden: NDArray[np.bool_] = ~known & (days_since_last_visit(self.dataset, self.rows) == 1)
        return hidden

    @cached_property
    def earlier_visit_days(self) -> NDArray[np.int64]:
        """Known visit days before, [rows]."""
        days = position_in_history(self.dataset, self.rows)
        return days if self.hidden_visit is None else days - self.hidden_visit

    @cached_property
    def gap(self) -> NDArray[np.int32]:
        """Days since the user's last known visit day, [rows]; 0 on the first one."""
        gap = days_since_last_visit(self.dataset, self.rows)
        if self.rows is None or self.hidden_visit is None:
            return gap
        gap += np.where(self.hidden_visit, days_since_last_visit(self.dataset, self.rows - 1), 0).astype(gap.dtype)
        gap[self.earlier_visit_days == 0] = 0
        return gap

    @cached_property
    def weekday(self) -> NDArray[np.int64]:
        """Day of the week, [rows]; Monday is 0."""
        return weekday(self.stored(schema.VISIT_DATE))

    @cached_property
    def month_and_day(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Month and day of the month, [rows] each."""
        return month_and_day(self.stored(schema.VISIT_DATE))

    @property
    def last_hour_yesterday(self) -> Values:
        """Hour of the last visit on the day before, -1 without a known visit on that day, [rows].

        Users who were active past midnight come later on the next day.
        """
        last_hour = self.dataset.last_visit_hour
        previous = np.roll(last_hour, 1) if self.rows is None else last_hour[self.rows - 1]
        return np.where(self.gap == 1, previous, -1)


def _stored(name: str) -> Callable[[Days], Values]:
    return lambda days: days.stored(name)


def _gap_is(number: int) -> Callable[[Days], Values]:
    return lambda days: days.gap == number


GAP: Final = "days_since_last_visit"
GAP_FLAGS: Final = {f"{GAP}_is_{number}": _gap_is(number) for number in (1, 2, 3, 7)}
DAY_OF_WEEK: Final = "day_of_week"
DAY_OF_MONTH: Final = "day_of_month"
MONTH: Final = "month"
WEEKEND: Final = "is_weekend"
EARLIER_VISIT_DAYS: Final = "earlier_visit_days"
LAST_HOUR_YESTERDAY: Final = "last_hour_yesterday"
EVE_KNOWN: Final = "eve_known"
"""Share of the day before that is known: tells one without a visit from one that is not over yet."""

COLUMNS: Final[Mapping[str, Callable[[Days], Values]]] = {
    **{column.name: _stored(column.name) for column in schema.DAY_COLUMNS},
    GAP: lambda days: days.gap,
    **GAP_FLAGS,
    DAY_OF_WEEK: lambda days: days.weekday,
    DAY_OF_MONTH: lambda days: days.month_and_day[1],
    MONTH: lambda days: days.month_and_day[0],
    WEEKEND: lambda days: days.weekday >= SATURDAY,
    EARLIER_VISIT_DAYS: lambda days: days.earlier_visit_days,
    LAST_HOUR_YESTERDAY: lambda days: days.last_hour_yesterday,
    EVE_KNOWN: lambda days: np.ones(len(days.gap)) if days.eve_hours is None else days.eve_hours / schema.HOURS,
}
"""How the values [rows] of each column are computed."""


@dataclass(frozen=True)
class Encoder:
    """How columns become numbers.

    Attributes
    ----------
    name : str
        Name of the kind.
    parts : tuple of str
        Each part gives one number for every column; the feature's name ends with the part's name.
    encode : callable
        From some columns [rows] to numbers [rows, parts * columns], part by part.
    scaled : bool
        Whether each column is then centred on its mean and divided by its standard deviation, both fitted.
    """

    name: str
    parts: tuple[str, ...]
    encode: Callable[[Sequence[Values]], Values]
    scaled: bool = False


@dataclass(frozen=True)
class Block:
    """Some columns and the encoder that makes features of them."""

    encoder: Encoder
    columns: tuple[str, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(f"{self.encoder.name}__{column}{part}" for part in self.encoder.parts for column in self.columns)

    def encode(self, days: Days) -> Values:
        """Return the features of some days before scaling, [rows, features]."""
        return self.encoder.encode([COLUMNS[name](days) for name in self.columns])


def _side_by_side(columns: Sequence[Values]) -> NDArray[np.float64]:
    # np.stack takes several times as long for few rows.
    block = np.empty((len(columns[0]), len(columns)))
    for number, values in enumerate(columns):
        block[:, number] = values
    return block


def _circle(period: int) -> Encoder:
    """Place values on a circle: the sine and cosine of 2 pi * value / period."""
    angle = 2 * np.pi * np.arange(period) / period
    table = np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)

    def encode(columns: Sequence[Values]) -> Values:
        block = np.empty((len(columns[0]), 2, len(columns)), dtype=np.float32)
        for number, values in enumerate(columns):
            block[:, :, number] = table.take(values, axis=0, mode="wrap")
        return block.reshape(len(block), -1)

    return Encoder("circle", ("_sine", "_cosine"), encode)


def _one_hot(size: int) -> Encoder:
    """Flag each of the values 0..size-1 of one column; other values have no flag."""
    table = np.eye(size + 2, size, k=-1, dtype=np.float32)  # The first and the last row stand for other values.

    def encode(columns: Sequence[Values]) -> Values:
        (values,) = columns
        return table.take(values + 1, axis=0, mode="clip")

    return Encoder("one_hot", tuple(f"_{value}" for value in range(size)), encode)


_COPIED: Final = Encoder("copied", ("",), _side_by_side)
_SCALED: Final = Encoder("scaled", ("",), _side_by_side, scaled=True)
_LOG_SCALED: Final = Encoder("log_scaled", ("",), lambda columns: np.log1p(_side_by_side(columns)), scaled=True)
_HOUR_FLAGS: Final = Encoder(
    "hour_flags", tuple(f"_{hour}" for hour in range(schema.HOURS)), lambda columns: hour_bits(columns[0])
)

HISTORY: Final = (
    Block(_LOG_SCALED, (schema.TOTAL_TIME_SPENT_S, schema.TOTAL_PAGE_VIEWS, *schema.PAGE_VIEWS_BY_TYPE, GAP)),
    Block(_SCALED, (schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR, DAY_OF_MONTH, MONTH)),
    Block(_circle(schema.HOURS), (schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR)),
    Block(_one_hot(schema.HOURS), (schema.FIRST_VISIT_HOUR,)),
    Block(_HOUR_FLAGS, (schema.HOURLY_VISITS,)),
    Block(_one_hot(7), (DAY_OF_WEEK,)),
    Block(_one_hot(len(schema.PLATFORMS)), (schema.PLATFORM,)),
    Block(_COPIED, tuple(GAP_FLAGS)),
)
"""Features of a visit day as it was."""

TARGET: Final = (
    Block(_LOG_SCALED, (GAP, EARLIER_VISIT_DAYS)),
    Block(_SCALED, (DAY_OF_MONTH,)),
    Block(_circle(12), (MONTH,)),
    Block(_one_hot(7), (DAY_OF_WEEK,)),
    Block(_one_hot(schema.HOURS), (LAST_HOUR_YESTERDAY,)),
    Block(_COPIED, (WEEKEND, EVE_KNOWN, *GAP_FLAGS)),
)
"""Features that are known before a day begins; those of the histograms follow them."""

SCALED_BLOCKS: Final = tuple(dict.fromkeys(block for block in (*HISTORY, *TARGET) if block.encoder.scaled))
"""Blocks of which mean and standard deviation are fitted."""
