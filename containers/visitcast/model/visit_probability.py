"""The probability that a user comes on a local date: a logistic regression on six features of the visit days so far.

The gap between the last date that is over and the date to forecast is 1 when the eve is over, and 2 before it begins.
Each has weights of its own, since a day that is not over must not count as a day without a visit. While the eve is
under way, as at the shipped schedule, :func:`predict` weighs the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visitcast.data.calendar import is_weekend, weekday
from visitcast.data.dataset import Dataset, rows_before
from visitcast.data.protocol import Split

HALF_LIFE_DAYS: Final = 40.0
"""Calendar days after which a visit day, or a day without a visit, weighs half as much."""
PRIOR_DAYS: Final = 2.0
"""Days of the base rate that a user's rate begins with."""
FEATURES: Final = ("rate", "rate_on_days_of_this_type", "days_away", "visits_missed", "visit_days", "weekend")
"""Names of the features; `features` describes them."""
GAPS: Final = (1, 2)
"""Days between the last complete date and the date to forecast that have weights of their own."""
MAXIMUM_ROWS: Final = 200_000
DATES: Final = 28
"""Fewest dates that are used of a longer validation part."""

_RIDGE: Final = 1.0
_SMALLEST_GAIN: Final = 1e-6
_LARGEST_STEPS: Final = 100
_LOWEST, _HIGHEST = 1e-7, 1 - 1e-7
_DAYS_AT_ONCE: Final = 2**22
"""Visit days that features are computed of at a time, which bounds the memory."""


@dataclass(frozen=True)
class Weights:
    """Weights of the features, in the order of ``FEATURES``, and the intercept.

    The defaults make the probability the user's own decayed rate.
    """

    rate: float = 1.0
    rate_on_days_of_this_type: float = 0.0
    days_away: float = 0.0
    visits_missed: float = 0.0
    visit_days: float = 0.0
    weekend: float = 0.0
    intercept: float = 0.0


@dataclass(frozen=True)
class Parameters:
    """The fitted numbers.

    Attributes
    ----------
    base_rate : float
        Share of the known users who come on a date.
    gaps : tuple of Weights
        For each of ``GAPS``.
    """

    base_rate: float
    gaps: tuple[Weights, ...]


class Pairs(NamedTuple):
    """Pairs of a user and a date.

    Attributes
    ----------
    user : int64 array [pairs]
        Positions in the dataset.
    date : int64 array [pairs]
        Days since 1970-01-01.
    """

    user: NDArray[np.int64]
    date: NDArray[np.int64]


def fit(dataset: Dataset, parts: Split, visit_days: int, seed: int = 7) -> tuple[Parameters, dict[str, Any]]:
    """Fit the weights on users and dates of the validation part.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    parts : Split
        Gives the dates of the validation part.
    visit_days : int
        Last visit days of a user that a forecast is made from.
    seed : int
        Seed of the sample that is used of more than ``MAXIMUM_ROWS`` pairs of a user and a date.

    Returns
    -------
    parameters : Parameters
        With few rows they approach the user's own decayed rate, to which the weights are shrunk.
    metadata : dict
        Number of dates and, for each gap, of rows and of those whose user came.
    """
    dates = fit_dates(dataset, parts)
    samples = {gap: known_users(dataset, dates, gap, seed) for gap in GAPS}
    outcomes = {gap: came(dataset, pairs) for gap, pairs in samples.items()}
    counted = outcomes[max(GAPS)]
    base_rate = float((counted.sum() + 0.5) / (len(counted) + 1))
    weights, metadata = [], {}
    for gap, pairs in samples.items():
        until = pairs.date - gap
        ends = rows_before(dataset, pairs.user, until + 1)
        starts = np.maximum(dataset.offsets[pairs.user], ends - visit_days)
        values = _features(dataset.visit_date, starts, ends, pairs.date, until, base_rate)
        fitted = _regression(values, outcomes[gap])
        weights.append(fitted)
        metadata[f"gap_{gap}"] = {"rows": len(values), "came": int(outcomes[gap].sum())}
    return Parameters(base_rate, tuple(weights)), {"dates": len(dates), **metadata}


def fit_dates(dataset: Dataset, parts: Split) -> NDArray[np.int64]:
    """Return dates spread over the validation part; each weekday as often as the others if it has 28 days or more.

    The last date of the data is left out: it is not over everywhere.
    """
    end = min(parts.test_starts, int(dataset.visit_date.max()))
    days = end - parts.validation_starts
    step = max(1, days // DATES)
    if step % 7 == 0:
        step -= 1  # It would meet one weekday only.
    dates = np.arange(end - 1, parts.validation_starts - 1, -step, dtype=np.int64)
    return dates[: len(dates) // 7 * 7 if days >= DATES else None][::-1]


def known_users(dataset: Dataset, dates: NDArray[np.int64], gap: int, seed: int) -> Pairs:
    """Pair each date with the users who have a visit day at least `gap` days before it.

    At most ``MAXIMUM_ROWS`` pairs, of which each date has an equal part, chosen by `seed`.
    """
    rng = np.random.default_rng(seed)
    first = dataset.visit_date[dataset.offsets[:-1]]
    per_date = MAXIMUM_ROWS // max(1, len(dates))
    users = []
    for date in dates:
        known = np.flatnonzero(first <= date - gap)
        users.append(known if len(known) <= per_date else np.sort(rng.choice(known, per_date, replace=False)))
    lengths = [len(known) for known in users]
    return Pairs(np.concatenate([np.zeros(0, dtype=np.int64), *users]), np.repeat(dates, lengths))


def came(dataset: Dataset, pairs: Pairs) -> NDArray[np.bool_]:
    """Return whether each user came on the date, [pairs]."""
    row = rows_before(dataset, pairs.user, pairs.date)
    same_user = row < dataset.offsets[pairs.user + 1]
    found: NDArray[np.bool_] = same_user & (dataset.visit_date[np.minimum(row, dataset.visit_days - 1)] == pairs.date)
    return found


def predict(
    parameters: Parameters,
    dataset: Dataset,
    rows: NDArray[np.int64],
    known_until: NDArray[np.int64],
    rest: NDArray[Any],
) -> NDArray[np.float32]:
    """Forecast whether the user of each row comes on the row's date.

    The last known date may not be over. If the user has come on it, the features have all that they need. If not, the
    user may still come. Let p be the probability, before that date began, of a visit on it, and r the share of first
    visits that fall into its remaining hours. By Bayes' rule there will be no visit on it with the probability
    ``(1 - p) / (1 - p + p r)``. The forecast before the date began is the mean, by p, of those after a visit on it and
    after none. So the forecast now is ``m`` times the one before the date began plus ``1 - m`` times the one after no
    visit, with ``m = r / (1 - p + p r)``. The forecast before the date began stands for p, which matters little.

    Parameters
    ----------
    parameters : Parameters
        What :func:`fit` returned.
    dataset : Dataset
        Visit days.
    rows : int64 array [rows]
        Rows to forecast, ascending, from the rows of the user before them, of which none is after `known_until`.
    known_until : int64 array [rows]
        Last date of which visits are known, days since 1970-01-01.
    rest : float array [rows]
        Share of a visit day's first visits that come after what is known of this date; 0 where it is over.

    Returns
    -------
    float32 array [rows]
        Probabilities; NaN without any earlier visit day.
    """
    starts = dataset.offsets[dataset.offsets.searchsorted(rows, side="right") - 1]
    out = np.full(len(rows), np.nan, dtype=np.float32)
    known = np.flatnonzero(rows > starts)
    days = int((rows[known] - starts[known]).sum())
    for block in np.array_split(known, 1 + days // _DAYS_AT_ONCE):
        out[block] = _of_last_date(parameters, dataset, starts[block], rows[block], known_until[block])
        open_ = block[(rest[block] > 0) & (dataset.visit_date[rows[block] - 1] < known_until[block])]
        before = _of_last_date(parameters, dataset, starts[open_], rows[open_], known_until[open_] - 1)
        still = rest[open_]
        weight = still / (1 - before + before * still)
        out[open_] += weight * (before - out[open_])
    return out


def _of_last_date(
    parameters: Parameters,
    dataset: Dataset,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    known_until: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Forecast rows `ends` from the rows before them, if all dates up to `known_until` are over, [rows]."""
    target = dataset.visit_date[ends].astype(np.int64)
    values = _features(dataset.visit_date, starts, ends, target, known_until, parameters.base_rate)
    chances = np.empty(len(ends))
    for weights, wanted in zip(parameters.gaps, GAPS, strict=True):
        gap = target - known_until
        of_gap = gap == wanted if wanted != max(GAPS) else gap >= wanted
        chances[of_gap] = _chances(weights, values[of_gap])
    return chances


def _features(
    visit_date: NDArray[np.int32],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    target: NDArray[np.int64],
    known_until: NDArray[np.int64],
    base_rate: float,
) -> NDArray[np.float64]:
    """Compute the features of some users, [users, len(FEATURES)].

    A decayed rate is ``(S + 2 m) / (W + 2)``: S sums the weights of the visit days, W those of all days from the first
    visit day on, m is the base rate. W is summed in closed form.

    1. log odds of the decayed rate
    2. the same of working days alone or of weekend days alone, as the target
    3. log(1 + days since the last visit day)
    4. log(1 + these days x the decayed rate at the last visit day): visits missed at the user's own pace
    5. log(visit days)
    6. whether the target is a Saturday or a Sunday

    Parameters
    ----------
    visit_date : int32 array [N]
        Visit days, ascending for each user.
    starts, ends : int64 arrays [users]
        Rows of each user's visit days, at least one.
    target : int64 array [users]
        Date to forecast.
    known_until : int64 array [users]
        Last date of which visits are known, not before the last visit day.
    base_rate : float
        Of all users.
    """
    users = len(starts)
    lengths = ends - starts
    user = np.arange(users).repeat(lengths)
    row = np.arange(len(user)) + (starts - lengths.cumsum() + lengths).repeat(lengths)
    day = visit_date[row].astype(np.int64)
    first, last = visit_date[starts].astype(np.int64), visit_date[ends - 1].astype(np.int64)
    weekend = is_weekend(target)

    weight = np.exp2((day - last[user]) / HALF_LIFE_DAYS)
    total = np.bincount(user, weight, minlength=users)
    weight[is_weekend(day) != weekend[user]] = 0.0
    total_of_type = np.bincount(user, weight, minlength=users)

    away = known_until - last
    faded = np.exp2(-away / HALF_LIFE_DAYS)
    watched = known_until - first + 1
    rate = _rate(total * faded, _decayed_days(watched), base_rate)
    rate_of_type = _rate(total_of_type * faded, _decayed_days_of_type(watched, known_until, weekend), base_rate)
    rate_at_last = _rate(total, _decayed_days(watched - away), base_rate)

    out = np.empty((users, len(FEATURES)))
    out[:, 0] = _log_odds(rate)
    out[:, 1] = _log_odds(rate_of_type)
    out[:, 2] = np.log1p(away)
    out[:, 3] = np.log1p(away * rate_at_last)
    out[:, 4] = np.log(lengths)
    out[:, 5] = weekend
    return out


def _rate(visits: NDArray[Any], days: NDArray[np.float64], base_rate: float) -> NDArray[np.float64]:
    return (visits + PRIOR_DAYS * base_rate) / (days + PRIOR_DAYS)


def _decayed_days(days: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum the weights of the last `days` days."""
    total: NDArray[np.float64] = (1 - np.exp2(-days / HALF_LIFE_DAYS)) / (1 - _DECAY)
    return total


def _decayed_days_of_type(
    days: NDArray[np.int64], until: NDArray[np.int64], weekend: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Sum the weights of the working days, or of the weekend days, among the last `days` days up to `until`."""
    weeks, rest = np.divmod(days, 7)
    table = _WITHIN_A_WEEK[weekday(until), weekend.astype(np.int64)]
    faded = np.exp2(-7 * weeks / HALF_LIFE_DAYS)
    total: NDArray[np.float64] = table[:, 7] * (1 - faded) / (1 - _DECAY**7) + faded * table[np.arange(len(rest)), rest]
    return total


_DECAY: Final = 0.5 ** (1 / HALF_LIFE_DAYS)


def _within_a_week() -> NDArray[np.float64]:
    """Sum the weights of the last 0..7 days by weekday of the last one and by type of day, [7, 2, 8]."""
    ages = np.arange(7)
    of_type = ((np.arange(7)[:, None] - ages) % 7 >= 5)[:, None, :] == np.array([False, True])[:, None]
    sums = np.zeros((7, 2, 8))
    sums[:, :, 1:] = np.cumsum(of_type * _DECAY**ages, axis=2)
    return sums


_WITHIN_A_WEEK: Final = _within_a_week()


def _log_odds(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = rate.clip(_LOWEST, _HIGHEST)
    odds: NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return odds


def _chances(weights: Weights, values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Summed feature by feature: a matrix product's rounding depends on the number of rows.
    score = np.full(len(values), weights.intercept)
    for number, name in enumerate(FEATURES):
        score += getattr(weights, name) * values[:, number]
    return _logistic(score)


def _logistic(score: NDArray[np.float64]) -> NDArray[np.float64]:
    chances: NDArray[np.float64] = 0.5 * (1 + np.tanh(0.5 * score))  # does not overflow
    return chances


def _regression(values: NDArray[np.float64], came: NDArray[np.bool_]) -> Weights:
    """Minimise the log loss plus a penalty on the distance from the default weights, by Newton's method.

    Steps are halved until the loss falls; whole steps diverge where few users come.
    """
    inputs = np.column_stack([values, np.ones(len(values))])
    anchor = np.array([*asdict(Weights()).values()])

    def loss(weights: NDArray[np.float64]) -> float:
        score = inputs @ weights
        return float(
            np.logaddexp(0, np.where(came, -score, score)).sum() + _RIDGE / 2 * ((weights - anchor) ** 2).sum()
        )

    weights, lowest = anchor, loss(anchor)
    for _ in range(_LARGEST_STEPS):
        chances = _logistic(inputs @ weights)
        gradient = inputs.T @ (came - chances) - _RIDGE * (weights - anchor)
        curvature = (inputs * (chances * (1 - chances))[:, None]).T @ inputs + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        while (reached := loss(weights + step)) > lowest and np.abs(step).max() > 1e-9:
            step /= 2
        if lowest - reached < _SMALLEST_GAIN:
            break
        weights, lowest = weights + step, reached
    return Weights(*weights.tolist())


def to_json(parameters: Parameters) -> dict[str, Any]:
    """Turn parameters into a JSON object."""
    by_gap = {f"gap_{gap}": asdict(weights) for gap, weights in zip(GAPS, parameters.gaps, strict=True)}
    return {"base_rate": parameters.base_rate, **by_gap}


def from_json(content: Mapping[str, Any]) -> Parameters:
    """Restore parameters from what :func:`to_json` returned."""
    return Parameters(content["base_rate"], tuple(Weights(**content[f"gap_{gap}"]) for gap in GAPS))
