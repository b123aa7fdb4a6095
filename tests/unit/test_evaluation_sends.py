"""Who comes and who visits in the hour of the send: the sample, the outcomes, and expected against realised."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_visits import made_dataset
from sklearn.metrics import roc_auc_score

from benchmarks.lightgbm_peer import LightGbmLearner
from visitcast.data.protocol import split
from visitcast.data.schedule import QUIET_HOURS, as_known
from visitcast.evaluation import sends, user_dates
from visitcast.evaluation.sends import score_sends
from visitcast.evaluation.user_dates import UserDates, forecast_user_dates
from visitcast.evaluation.visits import area_under_curve, score_visits
from visitcast.forecasting.correction import Correction, corrected, solve_correction
from visitcast.forecasting.forecaster import forecast_last
from visitcast.model.bundle import Bundle
from visitcast.sending.send_window import SendRules, allowed_hours
from visitcast.training.fitting import fit

DATASET = made_dataset(users=80, mean_days=25, seed=11)
PARTS = split(DATASET)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model() -> Bundle:
    return fit(DATASET, learner=LightGbmLearner(threads=1))


@pytest.fixture(scope="module")
def pairs(model: Bundle) -> UserDates:
    return forecast_user_dates(model, DATASET, PARTS)


def made_pairs(users: int = 400, dates: int = 60, true_shift: float = 0.0, seed: int = 0) -> UserDates:
    """Users who come as often as forecast, but for a shift of their log odds."""
    rng = np.random.default_rng(seed)
    user, date = (side.ravel() for side in np.meshgrid(np.arange(users), 20_000 + np.arange(dates)))
    probability = np.clip(rng.beta(0.6, 4, users)[user] * rng.uniform(0.8, 1.2, len(user)), 0.001, 0.95)
    hour_chance = rng.uniform(0.05, 0.6, len(user))
    came = rng.random(len(user)) < corrected(probability, Correction(shift=true_shift))
    return UserDates(
        user=user,
        date=date,
        weight=np.ones(len(user)),
        visit_days=np.full(len(user), 9),
        absent_days=rng.geometric(0.05, len(user)),
        probability=probability,
        hour_chance=hour_chance,
        rates={"global_rate": np.full(len(user), came.mean())},
        came=came,
        visited=came & (rng.random(len(user)) < hour_chance),
    )


def test_quiet_hours_are_those_of_the_shipped_campaign() -> None:
    schema = json.loads((ROOT / "statemachine/forecast.input.schema.json").read_text())
    quiet = schema["properties"]["Campaign"]["properties"]["QuietHours"]["properties"]
    assert QUIET_HOURS == tuple(quiet[end]["default"] for end in ("From", "Until")) == SendRules().quiet
    np.testing.assert_array_equal(user_dates.allowed_hours(), allowed_hours(SendRules()))


def test_every_known_user_is_forecast_on_every_test_date_but_the_last(pairs: UserDates) -> None:
    dates = range(PARTS.test_starts, int(DATASET.visit_date.max()))
    expected = set()
    for user in range(DATASET.users):
        days = DATASET.visit_date[DATASET.offsets[user] : DATASET.offsets[user + 1]]
        for date in dates:
            known = as_known(DATASET, np.array([user]), np.array([date]))
            assert len(known.pairs) or not (days < date - 1).any()
            if len(known.pairs):
                expected.add((user, date))
    assert set(zip(pairs.user.tolist(), pairs.date.tolist(), strict=True)) == expected
    assert len(pairs.user) == len(expected)


def test_forecasts_and_outcomes_are_those_of_the_user_on_the_date(model: Bundle, pairs: UserDates) -> None:
    for place in range(0, len(pairs.user), max(1, len(pairs.user) // 40)):
        user, date = int(pairs.user[place]), int(pairs.date[place])
        known = as_known(DATASET, np.array([user]), np.array([date]))
        forecast = forecast_last(model, known.dataset, known.as_of)
        np.testing.assert_allclose(pairs.probability[place], forecast.visit_probability[0], atol=1e-6)
        possible = forecast.visit_hour[0, 7:22]
        np.testing.assert_allclose(pairs.hour_chance[place], possible.max(), atol=1e-6)
        rows = np.arange(DATASET.offsets[user], DATASET.offsets[user + 1])
        today = rows[DATASET.visit_date[rows] == date]
        assert pairs.came[place] == bool(len(today))
        hit = len(today) and DATASET.hourly_visits[today[0]] >> (7 + int(possible.argmax())) & 1
        assert pairs.visited[place] == bool(hit)
    assert 0 < pairs.visited.sum() < pairs.came.sum() < len(pairs.came)


def test_a_sample_keeps_within_its_bound_and_stands_for_all() -> None:
    dates = range(PARTS.test_starts, int(DATASET.visit_date.max()))
    users, chosen_dates, weights = user_dates.sample(DATASET, PARTS, most_pairs=10 * len(dates))
    assert sorted(set(chosen_dates)) == list(dates)
    for date in dates:
        known = {"active": 0, "away": 0}
        sampled = {"active": 0, "away": 0}
        stands_for = {"active": 0.0, "away": 0.0}
        of_date = dict(zip(users[chosen_dates == date], weights[chosen_dates == date], strict=True))
        assert len(of_date) <= 10
        for user in range(DATASET.users):
            days = DATASET.visit_date[DATASET.offsets[user] : DATASET.offsets[user + 1]]
            days = days[days < date]
            if len(days):
                group = "active" if days[-1] >= date - user_dates.ACTIVE_DAYS else "away"
                known[group] += 1
                sampled[group] += user in of_date
                stands_for[group] += of_date.get(user, 0.0)
        assert sum(sampled.values()) == len(of_date) == min(10, sum(known.values()))
        assert sampled["away"] >= min(known["away"], 2)
        assert sampled["active"] >= min(known["active"], 8)
        assert stands_for == pytest.approx(known)


def test_a_pair_counts_for_as_many_as_it_stands_for() -> None:
    pairs = made_pairs(users=60, dates=20)
    pairs = replace(pairs, weight=np.where(pairs.user % 3 == 0, 3.0, 1.0))
    copies = np.concatenate([np.arange(len(pairs.user)), *2 * [np.flatnonzero(pairs.weight == 3)]])
    repeated = replace(user_dates.select(pairs, copies), weight=np.ones(len(copies)))  # type: ignore[arg-type]
    for score in (score_visits, score_sends):
        weighted, plain = score(pairs), score(repeated)
        for name in ("pairs", "expected", "realised", "log_loss", "brier", "auc"):
            if name in weighted:
                assert weighted[name] == pytest.approx(plain[name])
        assert weighted["ratio"].high == pytest.approx(plain["ratio"].high)
        assert weighted["corrected"]["expected"] == pytest.approx(plain["corrected"]["expected"])


def test_without_a_test_date_that_is_over_there_are_no_figures(model: Bundle) -> None:
    found = forecast_user_dates(model, DATASET, replace(PARTS, test_starts=int(DATASET.visit_date.max())))
    visits, sent = score_visits(found), score_sends(found)
    assert (visits["pairs"], visits["log_loss"], visits["ratio"], visits["tenths"]) == (0, None, None, [])
    assert (sent["realised"], sent["ratio"], sent["tenths"]) == (0, None, [])


def test_what_is_well_forecast_is_as_expected() -> None:
    pairs = made_pairs()
    visits, sent = score_visits(pairs), score_sends(pairs)
    for scores in (visits, sent, visits["corrected"], sent["corrected"], sent["of_visitors"]):
        assert scores["ratio"].low < 1 < scores["ratio"].high
        assert scores["ratio"].mean == pytest.approx(scores["expected"] / scores["realised"])
    assert visits["realised"] == pairs.came.sum()
    assert sent["realised"] == pairs.visited.sum()
    assert sent["of_visitors"]["pairs"] == pairs.came.sum()
    assert visits["differences"]["global_rate"].high < 0


def test_tenths_hold_as_much_as_is_expected_each() -> None:
    pairs = made_pairs()
    parts = score_sends(pairs)["tenths"]
    assert len(parts) == 10
    assert sum(part["pairs"] for part in parts) == len(pairs.user)
    assert sum(part["realised"] for part in parts) == pairs.visited.sum()
    expected = np.array([part["expected"] for part in parts])
    np.testing.assert_allclose(expected, expected.mean(), rtol=0.01)
    assert np.all(np.diff([part["mean"] for part in parts]) > 0)


def test_the_correction_reads_closed_dates_only_and_mends_what_has_drifted() -> None:
    pairs = made_pairs(true_shift=-0.5)
    moved = user_dates.correct_by_closed_dates(pairs)
    first = pairs.date < 20_000 + 8
    np.testing.assert_array_equal(moved.probability[first], pairs.probability[first])  # fewer than seven are closed
    ratio = score_visits(pairs)["ratio"].mean
    assert ratio > 1.4
    assert abs(score_visits(user_dates.select(moved, ~first))["ratio"].mean - 1) < 0.05
    # What comes on the date itself and on its eve changes nothing.
    date = 20_030
    late = pairs.date >= date - 1
    other = user_dates.correct_by_closed_dates(replace(pairs, came=np.where(late, ~pairs.came, pairs.came)))
    same = pairs.date == date
    np.testing.assert_array_equal(other.probability[same], moved.probability[same])
    closed = (pairs.date <= date - 2) & (pairs.date > date - 30)
    correction = solve_correction(pairs.probability[closed], np.ones(closed.sum()), pairs.came[closed].astype(float))
    # The evaluation, as the plan, reads sums by quarters of the log odds.
    np.testing.assert_allclose(moved.probability[same], corrected(pairs.probability[same], correction), rtol=0.02)


def test_the_chance_of_the_hour_has_a_correction_of_its_own() -> None:
    pairs = made_pairs(users=400)
    moved = user_dates.correct_by_closed_dates(replace(pairs, hour_chance=pairs.hour_chance * 1.4))
    later = pairs.date >= pairs.date.min() + 10
    chance, visited = moved.chance[later], pairs.visited[later]
    assert 1.4 * pairs.chance[later].sum() / visited.sum() > 1.3
    most = chance >= np.quantile(chance, 0.75)
    for part in (most, ~most):
        assert abs(chance[part].sum() / visited[part].sum() - 1) < 0.1


def test_scarce_pushes_go_to_the_first_of_each_date() -> None:
    pairs = made_pairs(users=200, dates=9)
    capacity = score_sends(pairs)["capacity"]
    active = pairs.absent_days <= user_dates.ACTIVE_DAYS
    for found, share in zip(capacity, sends.CAPACITIES, strict=True):
        for order, value in (
            (sends.PRODUCT, pairs.chance),
            (sends.CHANCE, pairs.hour_chance),
            (sends.PROBABILITY, pairs.probability),
        ):
            realised = 0
            for date in np.unique(pairs.date):
                rows = np.flatnonzero((pairs.date == date) & active)
                best = sorted(rows, key=lambda row: -value[row])[: int(share * len(rows))]
                realised += int(pairs.visited[best].sum())
            assert found["realised"][order] == realised
        assert found["gain"].mean == pytest.approx(found["realised"][sends.PRODUCT] / found["realised"][sends.CHANCE])
    assert capacity[0]["gain"].mean > 1


@pytest.mark.parametrize("ties", [1, 2, 50])
def test_the_area_under_the_curve_is_scikit_learns(ties: int) -> None:
    rng = np.random.default_rng(ties)
    score = rng.integers(0, 100 // ties, 500) / 100
    positive = rng.random(500) < score + 0.1
    expected: Any = roc_auc_score(positive, score)
    assert area_under_curve(score, positive, np.ones(500)) == pytest.approx(expected)
    weight = rng.uniform(0.5, 3, 500)
    expected = roc_auc_score(positive, score, sample_weight=weight)
    assert area_under_curve(score, positive, weight) == pytest.approx(expected)
    assert area_under_curve(score, np.zeros(500, dtype=bool), weight) is None
