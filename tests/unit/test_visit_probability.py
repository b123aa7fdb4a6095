"""The probability that a user comes, beside slow loops over plain lists."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_visits import datasets, made_dataset
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, select_users, with_target_days
from visitcast.data.protocol import split
from visitcast.data.schedule import HISTORY_VISIT_DAYS, as_known
from visitcast.model import visit_probability
from visitcast.model.baselines import visit_rates
from visitcast.model.visit_probability import Pairs, Parameters, Weights

ONE = Weights(0.6, 0.43, 0.6, -1.69, 0.05, -0.06, 0.03)
TWO = Weights(0.11, 0.5, -0.41, -0.19, 0.13, -0.16, -0.44)
PARAMETERS = Parameters(0.2, (ONE, TWO))
LATE_SHARE, LATE_HOUR = 0.4, 20
"""Share of the made visits at a late hour, which the schedule does not see on the eve."""


def days_of(dataset: Dataset, user: int) -> list[int]:
    return dataset.visit_date[dataset.offsets[user] : dataset.offsets[user + 1]].tolist()


def weekend(day: int) -> bool:
    return (day + 3) % 7 in (5, 6)


def oracle(days: list[int], target: int, until: int, parameters: Parameters = PARAMETERS) -> float:
    """The definition, day by day."""
    if not days:
        return math.nan

    def log_odds(end: int, of_type: bool) -> tuple[float, float]:
        visits = watched = 0.0
        for day in range(days[0], end + 1):
            if of_type and weekend(day) != weekend(target):
                continue
            weight = 0.5 ** ((end - day) / 40)
            watched += weight
            visits += weight * (day in days)
        rate = (visits + 2 * parameters.base_rate) / (watched + 2)
        return rate, math.log(rate / (1 - rate))

    missed = until - days[-1]
    values = [
        log_odds(until, of_type=False)[1],
        log_odds(until, of_type=True)[1],
        math.log(1 + missed),
        math.log(1 + missed * log_odds(days[-1], of_type=False)[0]),
        math.log(len(days)),
        float(weekend(target)),
        1.0,
    ]
    weights = parameters.gaps[0 if target - until == 1 else 1]
    score = sum(
        getattr(weights, name) * value
        for name, value in zip((*visit_probability.FEATURES, "intercept"), values, strict=True)
    )
    return 1 / (1 + math.exp(-score))


@given(datasets(), st.integers(1, 40), st.integers(1, 9))
def test_the_closed_forms_are_the_definition(dataset: Dataset, later: int, gap: int) -> None:
    last = dataset.visit_date[dataset.offsets[1:] - 1]
    targets, gap = last + later, min(gap, later)
    asked = with_target_days(dataset, targets)
    over = np.zeros(dataset.users)
    made = visit_probability.predict(PARAMETERS, asked, asked.offsets[1:] - 1, targets - gap, over)
    expected = [
        oracle(days_of(dataset, user), int(targets[user]), int(targets[user] - gap)) for user in range(dataset.users)
    ]
    np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_years_of_absence_and_of_visits_every_day() -> None:
    dataset = made_dataset(users=2)
    offsets = np.array([0, 1, 1501])
    rows = np.zeros(1501, dtype=np.int64)
    dates = np.concatenate([[3000], np.arange(18_500, 20_000)]).astype(np.int32)
    columns = {name: values[rows] for name, values in dataset.columns.items()} | {"visit_date": dates}
    asked = with_target_days(Dataset(dataset.user_ids[:2], offsets, columns), np.array([20_000, 20_000]))
    made = visit_probability.predict(PARAMETERS, asked, asked.offsets[1:] - 1, np.full(2, 19_999), np.zeros(2))
    expected = [oracle([3000], 20_000, 19_999), oracle(list(range(18_500, 20_000)), 20_000, 19_999)]
    np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_a_user_without_visit_days_has_none_and_one_who_came_on_the_eve_has_one() -> None:
    dataset = made_dataset(users=1)
    without = Dataset(dataset.user_ids, np.zeros(2, dtype=np.int64), select_users(dataset, slice(0)).columns)
    asked = with_target_days(without, np.array([20_000]))
    assert np.isnan(visit_probability.predict(PARAMETERS, asked, np.array([0]), np.array([19_999]), np.array([0.5])))

    only_the_eve = {name: values[:1] for name, values in dataset.columns.items()}
    only_the_eve["visit_date"] = np.array([19_999], dtype=np.int32)
    asked = with_target_days(Dataset(dataset.user_ids, np.array([0, 1]), only_the_eve), np.array([20_000]))
    made = visit_probability.predict(PARAMETERS, asked, np.array([1]), np.array([19_999]), np.array([0.5]))
    assert made[0] == pytest.approx(oracle([19_999], 20_000, 19_999))


def test_a_user_gets_the_same_bits_alone_as_among_others() -> None:
    dataset = made_dataset(users=50)
    asked = with_target_days(dataset, np.full(50, 20_800))
    until, rest = np.full(50, 20_799), np.linspace(0, 1, 50)
    together = visit_probability.predict(PARAMETERS, asked, asked.offsets[1:] - 1, until, rest)
    for user in range(50):
        alone = select_users(asked, slice(user, user + 1))
        found = visit_probability.predict(PARAMETERS, alone, alone.offsets[1:] - 1, until[:1], rest[user : user + 1])
        assert found.tobytes() == together[user : user + 1].tobytes()


@given(datasets(), st.floats(0, 1), st.integers(1, 4))
def test_a_day_under_way_lies_between_one_that_has_not_begun_and_one_that_is_over(
    dataset: Dataset, rest: float, gap: int
) -> None:
    date = int(dataset.visit_date.max()) + gap
    asked = with_target_days(dataset, np.full(dataset.users, date))
    rows, until = asked.offsets[1:] - 1, np.full(dataset.users, date - 1)

    def made(known_until: NDArray[np.int64], share: float) -> NDArray[np.float32]:
        shares = np.full(dataset.users, share)
        return visit_probability.predict(PARAMETERS, asked, rows, known_until, shares)

    over = made(until, 0.0)
    came = asked.visit_date[rows - 1] == until
    before = np.where(came, over, made(np.maximum(until - 1, asked.visit_date[rows - 1]), 0.0))
    np.testing.assert_allclose(made(until, 1.0), before, rtol=1e-5)
    stays_away = (1 - before) / (1 - before + before * rest + 1e-12)
    # Before the day begins the forecast is a mean of those after a visit and after none.
    after_visit = (before - (1 - before) * over) / before
    expected = np.where(came, over, stays_away * over + (1 - stays_away) * after_visit)
    np.testing.assert_allclose(made(until, rest), expected, rtol=1e-4, atol=1e-6)


def made_comers(users: int = 600, days: int = 200, seed: int = 3, until: int = 20_700) -> Dataset:
    """Users who come with a chance of their own, more often on weekends; some stop for good."""
    rng = np.random.default_rng(seed)
    rate = rng.beta(1, 3, users)
    stops = rng.geometric(1 / (2 * days), users)
    came = rng.random((users, days)) < rate[:, None] * np.where(weekend_row(until, days), 1.3, 0.9)
    came &= np.arange(days) < stops[:, None]
    came[:, 0] = True
    user, day = came.nonzero()
    base = made_dataset(users=1)
    columns = {name: values[np.zeros(len(user), dtype=np.int64)] for name, values in base.columns.items()}
    columns["visit_date"] = (until - days + 1 + day).astype(np.int32)
    hour = np.where(np.random.default_rng(seed + 1).random(len(user)) < LATE_SHARE, LATE_HOUR, 9)
    columns |= {"first_visit_hour": hour, "last_visit_hour": hour, "hourly_visits": 1 << hour}
    ids = np.array([f"{number:05d}" for number in range(users)])
    return Dataset(ids, np.concatenate([[0], np.cumsum(came.sum(axis=1))]), columns)


def weekend_row(until: int, days: int) -> np.ndarray:
    return np.array([weekend(until - days + 1 + day) for day in range(days)])


def test_the_fit_is_calibrated_and_beats_the_rates() -> None:
    dataset = made_comers()
    parts = split(dataset)
    parameters, metadata = visit_probability.fit(dataset, parts, HISTORY_VISIT_DAYS)
    assert metadata["gap_1"]["came"] == metadata["gap_2"]["came"] > 1000
    last = int(dataset.visit_date.max())
    users = np.tile(np.arange(dataset.users), last - parts.test_starts)
    dates = np.repeat(np.arange(parts.test_starts, last), dataset.users)
    came = visit_probability.came(dataset, Pairs(users, dates))
    known = as_known(dataset, users, dates)
    assert len(known.pairs) == len(users)
    rows = known.dataset.offsets[1:] - 1
    eve = known.dataset.visit_date[rows].astype(np.int64) - 1
    share_to_come = np.full(len(rows), LATE_SHARE)
    made = visit_probability.predict(parameters, known.dataset, rows, eve, share_to_come).astype(np.float64)
    so_far = known.dataset.visit_date[rows - 1] == eve
    for users_alike in (so_far, ~so_far):
        assert users_alike.sum() > 1000
        assert made[users_alike].sum() / came[users_alike].sum() == pytest.approx(1, abs=0.05)
    baselines = visit_rates.predict(visit_rates.fit(dataset, parts), known.dataset)

    def loss(chances: np.ndarray) -> float:
        return float(-np.log(np.where(came, chances, 1 - chances)).mean())

    assert loss(made) < loss(baselines["user_rate"]) < loss(baselines["weekday_rate"]) < loss(baselines["global_rate"])


def test_fitting_sees_no_day_of_the_test_part_nor_the_last_one() -> None:
    dataset = made_comers(users=100, days=100)
    parts = split(dataset)
    before = visit_probability.fit(dataset, parts, HISTORY_VISIT_DAYS)
    moved = dataset.visit_date.copy()
    moved[dataset.visit_date >= parts.test_starts] += 1000
    other = replace(dataset, columns={**dataset.columns, "visit_date": moved})
    assert visit_probability.fit(other, parts, HISTORY_VISIT_DAYS) == before

    ends = replace(parts, test_starts=int(dataset.visit_date.max()) + 1)
    assert visit_probability.fit_dates(dataset, ends).max() == dataset.visit_date.max() - 1


@pytest.mark.parametrize("days", [1, 6, 13, 28, 55, 196, 400, 1000])
def test_long_validation_parts_give_every_weekday_as_many_dates(days: int) -> None:
    dataset = made_comers(users=3)
    start = int(dataset.visit_date.max()) - days
    parts = replace(split(dataset), validation_starts=start, test_starts=start + days)
    dates = visit_probability.fit_dates(dataset, parts)
    assert start <= dates.min() <= dates.max() == start + days - 1
    if days < 28:
        assert len(dates) == days
    else:
        assert len(set(np.bincount((dates + 3) % 7, minlength=7).tolist())) == 1
        assert 28 <= len(dates) < 56
        assert dates.max() - dates.min() > days / 2


def test_a_sample_is_used_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = made_comers(users=200, days=100)
    whole, metadata = visit_probability.fit(dataset, split(dataset), HISTORY_VISIT_DAYS)
    monkeypatch.setattr(visit_probability, "MAXIMUM_ROWS", metadata["gap_2"]["rows"] // 2)
    sampled, found = visit_probability.fit(dataset, split(dataset), HISTORY_VISIT_DAYS)
    assert 0.9 < found["gap_2"]["rows"] / (metadata["gap_2"]["rows"] // 2) <= 1
    assert sampled != whole
    assert (sampled, found) == visit_probability.fit(dataset, split(dataset), HISTORY_VISIT_DAYS)


def test_only_the_last_visit_days_are_used() -> None:
    dataset = made_comers(users=60, days=150)
    parts = split(dataset)
    assert visit_probability.fit(dataset, parts, 5) != visit_probability.fit(dataset, parts, 150)


@pytest.mark.parametrize("nobody", [True, False])
def test_where_nobody_or_everybody_comes_the_rate_of_the_user_answers(nobody: bool) -> None:
    dataset = made_comers(users=30, days=60)
    dates = np.arange(20_000, 20_060, dtype=np.int32)
    if nobody:
        dates = dates[:20]
    count = len(dates)
    columns = {name: np.tile(values[:1], 30 * count) for name, values in dataset.columns.items()}
    columns["visit_date"] = np.tile(dates, 30)
    columns["visit_date"][-1] = 20_059  # The data go on.
    alike = Dataset(dataset.user_ids[:30], np.arange(31) * count, columns)
    parts = replace(split(dataset), validation_starts=20_030, test_starts=20_050)
    parameters, _ = visit_probability.fit(alike, parts, HISTORY_VISIT_DAYS)
    asked = with_target_days(alike, np.full(30, 20_061))
    until, over = np.full(30, 20_059), np.zeros(30)
    made = visit_probability.predict(parameters, asked, asked.offsets[1:] - 1, until, over)[:-1]
    assert ((made >= 0) & (made < 0.1)).all() if nobody else ((made > 0.9) & (made <= 1)).all()


def test_without_any_row_the_probability_is_the_users_own_rate() -> None:
    dataset = made_comers(users=5, days=40)
    parts = replace(split(dataset), validation_starts=10_000, test_starts=10_005)
    parameters, metadata = visit_probability.fit(dataset, parts, HISTORY_VISIT_DAYS)
    assert metadata["gap_1"] == {"rows": 0, "came": 0}
    assert parameters.gaps == (Weights(), Weights())


def test_json_keeps_every_number() -> None:
    parameters, _ = visit_probability.fit(made_comers(users=30), split(made_comers(users=30)), HISTORY_VISIT_DAYS)
    text = json.dumps(visit_probability.to_json(parameters))
    assert visit_probability.from_json(json.loads(text)) == parameters
