"""Axes of the pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """An axis: maps values from `low` to `high` onto pixels from `start` to `end`; `log` if by their logarithms."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high, at = (self._place(one) for one in (self.low, self.high, value))
        return round(self.start + (at - low) / ((high - low) or 1.0) * (self.end - self.start), 2)

    def _place(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self, about: int = 4) -> list[float]:
        """Return round values on the axis, about so many; on a logarithmic one powers of ten, and 2 and 5 times these.

        >>> Scale(0, 0.23, 0, 100).ticks(5)
        [0.0, 0.05, 0.1, 0.15, 0.2]
        >>> Scale(0.004, 0.3, 0, 100, log=True).ticks()
        [0.01, 0.1]
        >>> Scale(0.04, 0.6, 0, 100, log=True).ticks()
        [0.05, 0.1, 0.2, 0.5]
        """
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            factors = (1, 2, 5) if self.high < 40 * self.low else (1,)
            values = [round(factor * 10.0**power, 10) for power in powers for factor in factors]
            return [value for value in values if self.low <= value <= self.high]
        raw = ((self.high - self.low) or 1.0) / about
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [round(step * place, 10) for place in range(first, math.floor(self.high / step + 1e-9) + 1)]
