"""Geometry of the pictures, which the templates draw as SVG. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

SHADES = 5
"""Shades of a heat map above empty; the style sheet has a colour for each."""


@dataclass(frozen=True)
class Cell:
    """A cell of a heat map: column, row, shade (0: empty) and what it says."""

    column: int
    row: int
    shade: int
    text: str


@dataclass(frozen=True)
class Calendar:
    """A calendar: a cell for each day, a column for each week; and the columns in which months begin."""

    weeks: int
    cells: list[Cell]
    months: list[tuple[int, str]]


def calendar(values: Mapping[date, int], first: date, last: date, unit: str) -> Calendar:
    """Lay out the days from `first` to `last` as weeks that begin on Monday, each day shaded by its value."""
    start = first - timedelta(days=first.weekday())
    largest = max(values.values(), default=0)
    cells, months = [], []
    day = first
    while day <= last:
        column = (day - start).days // 7
        value = values.get(day, 0)
        text = f"{day:%a %d %b %Y}: {value:,} {unit}" if value else f"{day:%a %d %b %Y}: no visit"
        cells.append(Cell(column, day.weekday(), shade(value, largest), text))
        if day.day == 1:
            months.append((column, f"{day:%b}"))
        day += timedelta(days=1)
    return Calendar((last - start).days // 7 + 1, cells, months)


def shade(value: int, largest: int) -> int:
    """Return the shade of a value, 0 only if it is 0; by the square root, since views of a day are skewed.

    >>> [shade(value, 100) for value in (0, 1, 16, 50, 100)]
    [0, 1, 2, 4, 5]
    """
    if value <= 0 or largest <= 0:
        return 0
    return min(SHADES, max(1, math.ceil(SHADES * math.sqrt(value / largest))))


@dataclass(frozen=True)
class Scale:
    """An axis: maps values from `low` to `high` onto pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        span = self.high - self.low or 1.0
        return round(self.start + (value - self.low) / span * (self.end - self.start), 2)

    def ticks(self, about: int = 4) -> list[float]:
        """Return about so many round values on the axis.

        >>> Scale(0, 0.23, 0, 100).ticks(5)
        [0.0, 0.05, 0.1, 0.15, 0.2]
        """
        span = (self.high - self.low) or 1.0
        raw = span / about
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [round(step * number, 10) for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Curve:
    """A curve with its axes: an SVG path, the place of the last point and its value."""

    x: Scale
    y: Scale
    path: str
    last: tuple[float, float]
    value: float


def curve(points: Sequence[tuple[float, float]], most: float, width: float, height: float) -> Curve:
    """Lay out a curve over 1..`most` in a box; the margins left and below leave room for the axes."""
    values = [value for _, value in points]
    room = (max(values) - min(values) or abs(values[0]) or 1.0) * 0.12
    x = Scale(1, max(most, 2), 44, width - 8)
    y = Scale(min(values) - room, max(values) + room, height - 24, 8)
    line = "M" + " L".join(f"{x(at)} {y(value)}" for at, value in points)
    return Curve(x, y, line, (x(points[-1][0]), y(values[-1])), values[-1])
