"""Who comes, and who visits in the hour of the send: expected against realised, over known users and test dates.

The other figures of the evaluation take days on which the user came. A schedule does not know on which days that will
be, and sends to every user on every date.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, user_of_row
from visitcast.data.protocol import Split
from visitcast.data.schema import HOURS
from visitcast.evaluation.as_sent import blocks
from visitcast.evaluation.bootstrap import Interval, interval, resampled_sums
from visitcast.evaluation.groups import FEWEST_USERS
from visitcast.forecasting.correction import CLOSED_DATES, FEWEST_DATES, corrected, solve_correction
from visitcast.forecasting.forecaster import forecast_last
from visitcast.forecasting.schedule import GAP_DAYS, Known
from visitcast.metrics import SMALLEST_PROBABILITY
from visitcast.model.baselines import visit_rates
from visitcast.model.bundle import Bundle

MAXIMUM_PAIRS: Final = 200_000
"""Pairs of a user and a date that the evaluation job forecasts."""
QUIET_HOURS: Final = (22, 7)
"""Local hours from which and until which the shipped campaign sends nothing."""
ACTIVE_DAYS: Final = 90
"""Users whose last visit day is at most so many days before the date compete for the capacity. Nearly all visits are
theirs, so that most of a sample is of them."""
CAPACITIES: Final = (0.2, 0.5)
"""Shares of these users who may get a push on a date."""
TENTHS: Final = 10
FEWEST_VISITS: Final = 10
"""With fewer realised visits, expected over realised says nothing."""
RECENCY_STARTS: Final = (1, 2, 4, 8, 15, 31, 91)
"""First number of days since the last visit day of each group."""

MODEL: Final = "model"
PRODUCT, CHANCE, PROBABILITY = "chance_of_a_visit", "hour_alone", "visit_probability"
"""Orders in which users get a scarce push: by the chance that the plan uses, by the best hour's chance given that the
user comes, and by the probability of coming alone."""

_SEED: Final = 60


@dataclass(frozen=True)
class UserDates:
    """Known users on dates: forecasts as the schedule makes them, and what came.

    Attributes
    ----------
    user, date : int64 arrays [pairs]
        Positions of the users, and days since 1970-01-01.
    weight : float64 array [pairs]
        How many users of the date each stands for.
    visit_days, absent_days : int64 arrays [pairs]
        Visit days that the forecast reads, and days since the last of them.
    probability : float64 array [pairs]
        That the user comes.
    hour_chance : float64 array [pairs]
        Of a visit in the hour of the send, given that the user comes.
    rates : dict of str to float64 array [pairs]
        Probability that the user comes, by baseline.
    came, visited : bool arrays [pairs]
        Whether the user came, and whether in the hour of the send.
    """

    user: NDArray[np.int64]
    date: NDArray[np.int64]
    weight: NDArray[np.float64]
    visit_days: NDArray[np.int64]
    absent_days: NDArray[np.int64]
    probability: NDArray[np.float64]
    hour_chance: NDArray[np.float64]
    rates: Mapping[str, NDArray[np.float64]]
    came: NDArray[np.bool_]
    visited: NDArray[np.bool_]

    @property
    def chance(self) -> NDArray[np.float64]:
        """Chance of a visit in the hour of the send, [pairs]."""
        return self.probability * self.hour_chance


def select(pairs: UserDates, rows: NDArray[np.bool_]) -> UserDates:
    """Keep some pairs."""
    kept = {field.name: getattr(pairs, field.name)[rows] for field in fields(UserDates) if field.name != "rates"}
    return UserDates(**kept, rates={name: rates[rows] for name, rates in pairs.rates.items()})


def forecast_user_dates(model: Bundle, dataset: Dataset, parts: Split, most_pairs: int = MAXIMUM_PAIRS) -> UserDates:
    """Forecast known users on test dates, as the schedule does.

    Parameters
    ----------
    model : Bundle
        Fitted model.
    dataset : Dataset
        Visit days.
    parts : Split
        Gives the test dates.
    most_pairs : int
        Pairs at most; of more, a sample of the users of each date.
    """
    rates = visit_rates.fit(dataset, parts)
    users, dates, weights = sample(dataset, parts, most_pairs)
    found = [
        _of_block(model, rates, dataset, users[places], dates[places], weights[places], known)
        for places, known in blocks(dataset, users, dates)
    ]
    return _join(found) if found else _nobody()


def sample(
    dataset: Dataset, parts: Split, most_pairs: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Choose pairs of users whom the schedule knows and test dates, and say how many users each stands for.

    Of users who have been away for more than ``ACTIVE_DAYS``, whose number only grows, at most a quarter of the sample
    is taken if there are enough others. The last local date of the data is left out: it is not over everywhere.
    """
    dates = np.arange(parts.test_starts, dataset.visit_date.max(), dtype=np.int64)
    by_date = np.argsort(dataset.visit_date, kind="stable")
    user, day = user_of_row(dataset)[by_date], dataset.visit_date[by_date]
    first = dataset.visit_date[dataset.offsets[:-1]]
    rng = np.random.default_rng(_SEED)
    users, weights = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    sizes = []
    for date in dates:
        active = np.zeros(dataset.users, dtype=bool)
        active[user[slice(*day.searchsorted([date - ACTIVE_DAYS, date - GAP_DAYS + 1]))]] = True
        strata = np.flatnonzero(active), np.flatnonzero(~active & (first <= date - GAP_DAYS))
        most = most_pairs // len(dates)
        of_active = min(len(strata[0]), most - min(len(strata[1]), most // 4))
        sizes.append(0)
        for members, wanted in zip(strata, (of_active, most - of_active), strict=True):
            chosen = members if len(members) <= wanted else np.sort(rng.choice(members, wanted, replace=False))
            users.append(chosen)
            weights.append(np.full(len(chosen), len(members) / max(1, len(chosen))))
            sizes[-1] += len(chosen)
    return np.concatenate(users), np.repeat(dates, sizes), np.concatenate(weights)


def _of_block(
    model: Bundle,
    rates: visit_rates.Parameters,
    dataset: Dataset,
    users: NDArray[np.int64],
    dates: NDArray[np.int64],
    weights: NDArray[np.float64],
    known: Known,
) -> UserDates:
    forecast = forecast_last(model, known.dataset, known.known_until)
    chances = np.where(allowed_hours(), forecast.visit_hour, -1.0)
    hour = chances.argmax(axis=1)
    came, mask = _outcomes(dataset, users, dates)
    last = known.dataset.visit_date[known.dataset.offsets[1:] - 2]
    return UserDates(
        user=users,
        date=dates,
        weight=weights,
        visit_days=np.diff(known.dataset.offsets) - 1,
        absent_days=dates - last,
        probability=forecast.visit_probability.astype(np.float64),
        hour_chance=chances.max(axis=1).astype(np.float64),
        rates={
            name: rate.astype(np.float64)
            for name, rate in visit_rates.predict(rates, known.dataset, known.known_until).items()
        },
        came=came,
        visited=((mask >> hour) & 1).astype(bool),
    )


def allowed_hours() -> NDArray[np.bool_]:
    """Return which local hours are not quiet, [24]."""
    hour = np.arange(HOURS)
    begins, ends = QUIET_HOURS
    return np.asarray((hour >= ends) & (hour < begins))


def _outcomes(
    dataset: Dataset, users: NDArray[np.int64], dates: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return who came on the date, and in which hours as a mask, 0 for the others."""
    span = np.int64(1) << 32
    keys, wanted = user_of_row(dataset) * span + dataset.visit_date, users * span + dates
    row = np.minimum(keys.searchsorted(wanted), len(keys) - 1)
    came = keys[row] == wanted
    return came, np.where(came, dataset.hourly_visits[row], 0).astype(np.int64)


def _join(parts: list[UserDates]) -> UserDates:
    joined = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(UserDates)
        if field.name != "rates"
    }
    return UserDates(
        **joined, rates={name: np.concatenate([part.rates[name] for part in parts]) for name in parts[0].rates}
    )


def _nobody() -> UserDates:
    numbers, chances = np.empty(0, dtype=np.int64), np.empty(0)
    rates = dict.fromkeys((visit_rates.GLOBAL_RATE, visit_rates.WEEKDAY_RATE, visit_rates.USER_RATE), chances)
    nothing = np.empty(0, dtype=bool)
    return UserDates(numbers, numbers, chances, numbers, numbers, chances, chances, rates, nothing, nothing)


def correct_by_closed_dates(pairs: UserDates) -> UserDates:
    """Correct the probabilities of each date by what came on the dates before it, as the plan of the sends does.

    Closed at the schedule are the dates up to two days before. There is no correction as long as they are too few.
    """
    probability = pairs.probability.copy()
    for date in np.unique(pairs.date):
        closed = (pairs.date <= date - 2) & (pairs.date > date - 2 - CLOSED_DATES)
        if len(np.unique(pairs.date[closed])) >= FEWEST_DATES:
            weight = pairs.weight[closed]
            correction = solve_correction(pairs.probability[closed], weight, weight * pairs.came[closed])
            of_date = pairs.date == date
            probability[of_date] = corrected(pairs.probability[of_date], correction)
    return replace(pairs, probability=probability)


# --- who comes -------------------------------------------------------------------------------------------------------


def score_visits(pairs: UserDates) -> dict[str, Any]:
    """Score the probability of coming, beside its baselines.

    Returns
    -------
    dict
        See ``visits`` in docs/evaluation.md.
    """
    everybody = np.ones(len(pairs.user), dtype=bool)
    active = pairs.absent_days <= ACTIVE_DAYS
    parts, recent = tenths(pairs.probability, pairs.weight), _by_recency(pairs)
    expected: dict[Hashable, tuple[NDArray[np.float64], NDArray[np.bool_]]] = {
        MODEL: (pairs.probability, everybody),
        "active": (pairs.probability, active),
        "corrected": (correct_by_closed_dates(pairs).probability, everybody),
        **{name: (rate, everybody) for name, rate in pairs.rates.items()},
        **{("tenth", number): (pairs.probability, rows) for number, rows in enumerate(parts)},
        **{("recency", name): (pairs.probability, rows) for name, rows in recent.items()},
    }
    ratios = _ratios(pairs, pairs.came, expected)

    def scores(key: Hashable) -> dict[str, Any]:
        probability, rows = expected[key]
        return {**_score_probability(probability[rows], pairs.came[rows], pairs.weight[rows]), **ratios[key]}

    return {
        **_sizes(pairs),
        **scores(MODEL),
        "baselines": {name: scores(name) for name in pairs.rates},
        "differences": _differences(pairs),
        "tenths": [ratios["tenth", number] for number in range(len(parts))],
        "by_recency": [{"name": name, **scores(("recency", name))} for name in recent],
        "active": scores("active"),
        "corrected": ratios["corrected"],
    }


def _sizes(pairs: UserDates) -> dict[str, int]:
    return {"users": len(np.unique(pairs.user)), "dates": len(np.unique(pairs.date))}


def _score_probability(
    probability: NDArray[np.float64], came: NDArray[np.bool_], weight: NDArray[np.float64]
) -> dict[str, float | None]:
    if not len(came):
        return {"log_loss": None, "brier": None, "auc": None}
    return {
        "log_loss": float(np.average(_log_losses(probability, came), weights=weight)),
        "brier": float(np.average((probability - came) ** 2, weights=weight)),
        "auc": area_under_curve(probability, came, weight),
    }


def area_under_curve(
    score: NDArray[np.float64], positive: NDArray[np.bool_], weight: NDArray[np.float64]
) -> float | None:
    """Return how often a positive has a higher score than a negative, a tie counting half; None without both."""
    distinct, place = np.unique(score, return_inverse=True)
    positives = np.bincount(place, weight * positive, minlength=len(distinct))
    negatives = np.bincount(place, weight * ~positive, minlength=len(distinct))
    if not positives.any() or not negatives.any():
        return None
    below = np.cumsum(negatives) - negatives / 2
    return float(positives @ below / (positives.sum() * negatives.sum()))


def _log_losses(probability: NDArray[np.float64], came: NDArray[np.bool_]) -> NDArray[np.float64]:
    p = probability.clip(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return np.asarray(-np.where(came, np.log(p), np.log1p(-p)))


def _differences(pairs: UserDates) -> dict[str, Interval | None]:
    """Log loss of the probability minus each baseline's, paired, by user."""
    if len(np.unique(pairs.user)) < FEWEST_USERS:
        return dict.fromkeys(pairs.rates)
    own = _log_losses(pairs.probability, pairs.came)
    differences = {name: own - _log_losses(rate, pairs.came) for name, rate in pairs.rates.items()}
    columns = {name: pairs.weight * rows for name, rows in differences.items()}
    sums = resampled_sums([*columns.items(), ("", pairs.weight)], pairs.user)
    return {
        name: interval(float(rows.sum() / pairs.weight.sum()), sums[name] / sums[""]) for name, rows in columns.items()
    }


def _by_recency(pairs: UserDates) -> dict[str, NDArray[np.bool_]]:
    group = np.searchsorted(RECENCY_STARTS, pairs.absent_days, side="right") - 1
    lasts = ["" if end - start == 1 else f"–{end - 1}" for start, end in pairwise(RECENCY_STARTS)]
    names = [f"{start}{last}" for start, last in zip(RECENCY_STARTS, [*lasts, " or more"], strict=True)]
    return {name: group == number for number, name in enumerate(names) if (group == number).any()}


# --- expected and realised -------------------------------------------------------------------------------------------


def _ratios(
    pairs: UserDates,
    realised: NDArray[np.bool_],
    expected: Mapping[Hashable, tuple[NDArray[np.float64], NDArray[np.bool_]]],
) -> dict[Hashable, dict[str, Any]]:
    """Return expected and realised numbers of some rows and their ratio, with its interval by user.

    Parameters
    ----------
    pairs : UserDates
        Give users and weights.
    realised : bool array [pairs]
        What came.
    expected : mapping
        By key what was expected [pairs], and which pairs count [pairs].

    Returns
    -------
    dict
        By key ``pairs``, ``mean`` (expected per pair), ``expected``, ``realised`` and ``ratio``, which is None if too
        little was realised. All are of the users that the pairs stand for.
    """

    def columns() -> Iterator[tuple[tuple[Hashable, str], NDArray[Any]]]:
        for key, (value, rows) in expected.items():
            yield (key, "expected"), np.where(rows, value, 0.0) * pairs.weight
            yield (key, "realised"), (realised & rows) * pairs.weight

    sums = resampled_sums(columns(), pairs.user) if len(pairs.user) else {}
    found: dict[Hashable, dict[str, Any]] = {}
    for key, (value, rows) in expected.items():
        weight, came = pairs.weight[rows], realised & rows
        above, below = float(weight @ value[rows]), float(pairs.weight @ came)
        enough = came.sum() >= FEWEST_VISITS and len(np.unique(pairs.user[came])) >= FEWEST_USERS
        found[key] = {
            "pairs": float(weight.sum()),
            "mean": above / max(1.0, float(weight.sum())),
            "expected": above,
            "realised": below,
            "ratio": _quotient(above / below, sums[key, "expected"], sums[key, "realised"]) if enough else None,
        }
    return found


def _quotient(figure: float, above: NDArray[np.float64], below: NDArray[np.float64]) -> Interval:
    drawn = below > 0
    return interval(figure, above[drawn] / below[drawn])


def tenths(expected: NDArray[np.float64], weight: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Divide pairs in the order of what is expected, so that each part [pairs] holds a tenth of the expected visits.

    Tenths of the users would hold next to no visits where few users come.
    """
    order = np.argsort(expected, kind="stable")
    weighted = (expected * weight)[order]
    before = np.cumsum(weighted) - weighted
    part = np.empty(len(order), dtype=np.int64)
    part[order] = np.minimum(before * TENTHS / max(float(weighted.sum()), SMALLEST_PROBABILITY), TENTHS - 1)
    return [part == number for number in range(TENTHS) if (part == number).any()]


def score_sends(pairs: UserDates) -> dict[str, Any]:
    """Compare expected with realised visits in the hour of the send, and orders for a scarce capacity.

    Returns
    -------
    dict
        See ``sends`` in docs/evaluation.md.
    """
    everybody = np.ones(len(pairs.user), dtype=bool)
    chance, mended = pairs.chance, correct_by_closed_dates(pairs).chance
    parts, mended_parts = tenths(chance, pairs.weight), tenths(mended, pairs.weight)
    ratios = _ratios(
        pairs,
        pairs.visited,
        {
            MODEL: (chance, everybody),
            "corrected": (mended, everybody),
            "of_visitors": (pairs.hour_chance, pairs.came),
            **{("tenth", number): (chance, rows) for number, rows in enumerate(parts)},
            **{("corrected", number): (mended, rows) for number, rows in enumerate(mended_parts)},
        },
    )
    active = select(pairs, pairs.absent_days <= ACTIVE_DAYS)
    return {
        **_sizes(pairs),
        **ratios[MODEL],
        "corrected": {
            **ratios["corrected"],
            "tenths": [ratios["corrected", number] for number in range(len(mended_parts))],
        },
        "tenths": [ratios["tenth", number] for number in range(len(parts))],
        "of_visitors": ratios["of_visitors"],
        "capacity": [_with_capacity(active, share) for share in CAPACITIES],
    }


def _with_capacity(pairs: UserDates, share: float) -> dict[str, Any]:
    """Return the visits in the hour of the send where only a share of the users gets one, by the order of choice."""
    orders = {PRODUCT: pairs.chance, CHANCE: pairs.hour_chance, PROBABILITY: pairs.probability}
    sent = {name: _first(pairs.date, value, share) & pairs.visited for name, value in orders.items()}
    realised = {name: float(pairs.weight @ visited) for name, visited in sent.items()}
    gain = None
    enough = min(visited.sum() for visited in sent.values()) >= FEWEST_VISITS
    if enough and len(np.unique(pairs.user)) >= FEWEST_USERS:
        sums = resampled_sums(((name, pairs.weight * visited) for name, visited in sent.items()), pairs.user)
        gain = _quotient(realised[PRODUCT] / realised[CHANCE], sums[PRODUCT], sums[CHANCE])
    return {"share": share, "all": float(pairs.weight @ pairs.visited), "realised": realised, "gain": gain}


def _first(dates: NDArray[np.int64], value: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """Return on each date the share of the users with the highest value."""
    first = np.zeros(len(dates), dtype=bool)
    for rows in _rows_of_dates(dates):
        best = np.argsort(-value[rows], kind="stable")
        first[rows[best[: int(share * len(rows))]]] = True
    return first


def _rows_of_dates(dates: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    order = np.argsort(dates, kind="stable")
    _, starts = np.unique(dates[order], return_index=True)
    yield from np.split(order, starts[1:])
