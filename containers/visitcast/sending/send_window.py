"""Hours in which a push may go out: dates and weekdays, the send window less the quiet hours, and the gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.calendar import weekday
from visitcast.data.schedule import QUIET_HOURS
from visitcast.data.schema import HOURS
from visitcast.sending.send_times import NEVER, LocalHours, Minutes

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class SendRules:
    """Rules that every push of a campaign keeps.

    Attributes
    ----------
    window : (int, int)
        Local hours from which and until which a push may go out; the end is not included. ``(9, 21)`` is 9:00 to
        20:59; ``(20, 2)`` spans midnight; two equal hours mean the whole day.
    quiet : (int, int) or None
        Local hours without pushes, also inside the window.
    minimum_gap_minutes : int
        From one push to the next, for the same user, whichever campaigns send them.
    most_a_day, most_a_week : int
        Pushes of all campaigns to one user, on one local date and on any seven in a row.
    weekdays : tuple of str
        Weekdays, of the user's local date, on which pushes may go out.
    dates_without_sends : frozenset of int
        Local dates without any push, days since 1970-01-01.
    """

    window: tuple[int, int] = (0, 0)
    quiet: tuple[int, int] | None = QUIET_HOURS
    minimum_gap_minutes: int = 20 * 60
    most_a_day: int = 1
    most_a_week: int = 7
    weekdays: tuple[str, ...] = WEEKDAYS
    dates_without_sends: frozenset[int] = frozenset()


def barred_date(rules: SendRules, date: int) -> str | None:
    """Return why no push may go out on a local date, days since 1970-01-01; None if pushes may."""
    day, name = np.datetime64(date, "D"), WEEKDAYS[int(weekday(np.array([date]))[0])]
    if date in rules.dates_without_sends:
        return f"{day} is a date without sends."
    if name not in rules.weekdays:
        return f"{day} is a {name}, on which this campaign does not send."
    return None


def allowed_hours(rules: SendRules) -> NDArray[np.bool_]:
    """Return for each local hour whether a push may go out in it, bool [24]."""
    inside = _span(*rules.window, whole_if_equal=True)
    return inside if rules.quiet is None else inside & ~_span(*rules.quiet, whole_if_equal=False)


def _span(start: int, end: int, *, whole_if_equal: bool) -> NDArray[np.bool_]:
    hour = np.arange(HOURS)
    if start % HOURS == end % HOURS:
        return np.full(HOURS, whole_if_equal or abs(end - start) == HOURS)
    return np.asarray((hour - start) % HOURS < (end - start) % HOURS)


def sendable(hours: LocalHours, allowed: NDArray[np.bool_], earliest: Minutes) -> NDArray[np.bool_]:
    """Return the hours at whose beginning each user may get a push, bool [rows, 24].

    Judged by what the clock on the wall shows at the moment of the push: an hour that is skipped in spring is as
    allowed as the hour that the push then falls into.

    Parameters
    ----------
    hours : LocalHours
        When the hours begin.
    allowed : bool array [24]
        What :func:`allowed_hours` returned.
    earliest : int32 array [rows]
        When the gap since each user's last push ends, minutes since the epoch.
    """
    on_the_wall = allowed[(hours.local // 60) % HOURS] & (hours.utc != NEVER)
    possible: NDArray[np.bool_] = on_the_wall[hours.clock] & (hours.utc[hours.clock] >= earliest[:, None])
    return possible
