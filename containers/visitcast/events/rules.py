"""What events must follow besides their types: the limits, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

LARGEST_SHARE_LEFT_OUT: Final = 0.01
ALWAYS_LEFT_OUT: Final = 5
"""A few rows with a wrong clock are left out; more of them mean that the times were read wrongly."""
STRANGERS: Final = "unidentified"
LARGEST_SHARE_OF_STRANGERS: Final = 0.5
"""More rows whose user_id is not an identifier mean that the column is not the users', or that the export is broken.
Fewer are left out: anybody whose app sets the identifier could stop all others."""
FIRST_YEAR: Final = 1990
FUTURE: Final = timedelta(days=1)
"""Clocks of devices may be this far ahead."""
MIDNIGHT_REFUSED: Final = 0.9
MIDNIGHT_WARNED: Final = 0.2
"""Shares of the rows at exactly 00:00:00: dates written as times, or some of them."""
SMALLEST_OFFSET_MINUTES: Final = 15
"""No place has a smaller offset from UTC than a quarter of an hour, but 0."""
MANY_EVENTS_A_DAY: Final = 1000
"""More events than this on a mean active day come from a program, not from a person."""
DUPLICATES_WARNED: Final = 0.01
NIGHT: Final = range(1, 5)
NIGHT_WARNED: Final = len(NIGHT) / 24
"""Share of the events in the local hours of `NIGHT`, that of events spread evenly over the day: people sleep then."""


@dataclass(frozen=True)
class LeftOut:
    """A rule on times; rows that break it are left out if they are few."""

    name: str
    rule: str

    def condition(self, now: datetime | None) -> str:
        """Return SQL that is true for rows that break the rule."""
        if self.name == "ancient":
            return f"ms < {_ms(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC))}"
        return f"ms > {_ms((now or datetime.now(UTC)) + FUTURE)}"


LEFT_OUT: Final = (
    LeftOut("ancient", f"must not be before {FIRST_YEAR}"),
    LeftOut("future", "must not be more than a day in the future"),
)


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)
