"""What came of the forecasts of the last dates that are over everywhere, and what that says of today's.

The probability that a user comes is fitted once and then used for weeks, in which an app may grow or fade. Two numbers
correct it (:mod:`visitcast.forecasting.correction`). Two more correct the chance of a visit in the hour of the send:
the hour is chosen because its chance is high, and of such chances some are high by mistake. The forecaster and its
tables do without; only the plan of the sends uses them.

Forecasts are of visits without pushes, so only users who got no push on a date are counted: those of the arm
``no_push`` and those to whom nothing was sent. Otherwise what the pushes cause would be taken for an error of the
forecasts.

Visits in the hour of a send depend on one another, since a holiday keeps many users away at once. The dates show by how
much they move together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from visitcast.forecasting.correction import FEWEST_DATES, NO_CORRECTION, Correction, solve_correction

EXPECTED_LEVEL: Final = 0.90
"""Share of dates whose visits shall lie in the interval around what is expected."""
RATIO_LEVEL: Final = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A number with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Expected:
    """Visits expected in the hour of the sends of a plan.

    Attributes
    ----------
    value : float
        Sum of the chances.
    low, high : float or None
        Between these lie the visits of 90% of such dates; None as long as `ClosedDates.common` is not known.
    unknown_users : int
        Sends to users who never came, not part of the sum.
    """

    value: float
    low: float | None
    high: float | None
    unknown_users: int


@dataclass(frozen=True)
class ClosedDates:
    """Expected and realised numbers of the closed dates.

    Attributes
    ----------
    dates : int
        Dates with plans for users who got no push.
    expected : float
        Visits expected of them in the hour of the planned send.
    realised : int
        Planned sends in whose hour the user visited.
    ratio : Interval or None
        Expected over realised; None as long as it is not known.
    common : float or None
        Standard deviation of what moves all visits of a date together, as a share of those expected; None as long as it
        is not known. Unlike the deviation of all visits it does not depend on how many users are counted, and a plan
        has many more than the arm ``no_push``.
    correction : Correction
        Of the log odds of coming; none as long as it is not known.
    chance_correction : Correction or None
        Of the log odds of a visit in the hour of the send; None as long as it is not known.
    """

    dates: int = 0
    expected: float = 0.0
    realised: int = 0
    ratio: Interval | None = None
    common: float | None = None
    correction: Correction = NO_CORRECTION
    chance_correction: Correction | None = None


def read_closed_dates(rows: Iterable[Mapping[str, str]]) -> ClosedDates:
    """Sum up the result of realised_visits.sql.

    Parameters
    ----------
    rows : iterable of dict
        ``outcome``, ``dt``, ``rows``, ``forecast``, ``expected``, ``variance`` and ``realised`` as text: users by their
        probability of coming (``visitors``), and sends (``sends``), by date. Forecast is the sum before, expected
        that after the correction of that date.
    """
    found = [row for row in rows if row["rows"] not in ("", "0")]
    visitors, sends = ([row for row in found if row["outcome"] == outcome] for outcome in ("visitors", "sends"))
    days = _sums(sends)
    corrections = _correction(visitors) or NO_CORRECTION, _correction(sends)
    expected, variance, realised = (np.array([day[name] for day in days.values()]) for name in _SUMMED)
    total = float(expected.sum()), int(realised.sum())
    if len(days) < FEWEST_DATES or not variance.all():
        return ClosedDates(len(days), *total, None, None, *corrections)
    # Beyond the binomial variance of independent users.
    common = float(np.sqrt(max(0.0, ((realised - expected) ** 2 - variance).sum() / (expected**2).sum())))
    deviation = float(np.sqrt((variance + (common * expected) ** 2).sum()))
    return ClosedDates(len(days), *total, _ratio(*total, deviation, len(days)), common, *corrections)


def _correction(rows: list[Mapping[str, str]]) -> Correction | None:
    if len({row["dt"] for row in rows}) < FEWEST_DATES:
        return None
    count, forecast, realised = (_column(rows, name) for name in ("rows", "forecast", "realised"))
    return solve_correction(forecast / count, count, realised)


_SUMMED: Final = ("expected", "variance", "realised")


def _column(rows: list[Mapping[str, str]], name: str) -> Floats:
    return np.array([float(row[name]) for row in rows])


def _sums(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    days: dict[str, dict[str, float]] = {}
    for row in rows:
        day = days.setdefault(row["dt"], dict.fromkeys(_SUMMED, 0.0))
        for name in _SUMMED:
            day[name] += float(row[name])
    return days


def _ratio(expected: float, realised: int, deviation: float, dates: int) -> Interval | None:
    """Return expected over realised with its interval, symmetric on a logarithmic scale."""
    if not realised or not expected:
        return None
    wide = float(np.exp(student.ppf(0.5 + RATIO_LEVEL / 2, dates) * deviation / realised))
    return Interval(expected / realised, expected / realised / wide, expected / realised * wide)


def _deviation(ratio: Interval, dates: int) -> float:
    """Return the standard deviation that the interval of a ratio was made of, as a share."""
    reach = student.ppf(0.5 + RATIO_LEVEL / 2, dates)
    return float(np.log(ratio.high / ratio.value) / reach)


def expected_visits(chances: NDArray[Any], closed: ClosedDates) -> Expected:
    """Sum the chances of some sends.

    Parameters
    ----------
    chances : float array [sends]
        Of a visit in the hour of the send; NaN for users who never came, who are counted apart.
    closed : ClosedDates
        By which the interval is made.
    """
    x = chances[~np.isnan(chances)].astype(np.float64)
    value, unknown = float(x.sum()), len(chances) - len(x)
    if closed.common is None:
        return Expected(value, None, None, unknown)
    # The date's own movement, and what the closed dates leave open about the chances.
    shares = closed.common, _deviation(closed.ratio, closed.dates) if closed.ratio else 0.0
    deviation = (float((x * (1 - x)).sum()) + sum((share * value) ** 2 for share in shares)) ** 0.5
    half = float(student.ppf(0.5 + EXPECTED_LEVEL / 2, closed.dates)) * deviation
    return Expected(value, max(0.0, value - half), value + half, unknown)


def in_words(expected: Expected, closed: ClosedDates) -> list[str]:
    """Describe the expectation of a plan, and how well earlier ones held."""
    interval = (
        "its interval is not yet known"
        if expected.low is None
        else f"on {EXPECTED_LEVEL:.0%} of such dates between {expected.low:,.0f} and {expected.high:,.0f}"
    )
    ratio = (
        f"ratio not yet known ({FEWEST_DATES} such dates are needed)"
        if closed.ratio is None
        else f"ratio {closed.ratio.value:.2f} ({closed.ratio.low:.2f} to {closed.ratio.high:.2f})"
    )
    return [
        f"Visits expected in the hour of the push: {expected.value:,.0f}, {interval} "
        "(without the push: no effect is claimed)",
        f"Users without a push, last {closed.dates} dates that are over: {closed.expected:,.0f} expected, "
        f"{closed.realised:,} came, {ratio}",
        f"Users who never came before, not counted: {expected.unknown_users:,}",
    ]
