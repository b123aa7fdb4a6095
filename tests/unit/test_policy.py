"""Policies judged from logs of sends whose truth is known."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.response_worlds import ALLOWED, EVENINGS, HABITS, PERSONAL, ResponseWorld, make_world
from visitcast.data.schema import HOURS
from visitcast.sending import policy
from visitcast.sending.plan import masks
from visitcast.sending.realised import Interval
from visitcast.sending.response import caused_visits, fit_response, visits_without
from visitcast.sending.send_log import NO_SEND, SendLog, read_send_log

USERS = 6_000


@cache
def world(name: str) -> ResponseWorld:
    """A world of users with one habit each, at any time of the day."""
    rng = np.random.default_rng(3)
    peak, strength = rng.choice(np.flatnonzero(ALLOWED), USERS), rng.uniform(0.2, 0.6, USERS)
    distance = np.abs((np.arange(HOURS) - peak[:, None] + 12) % 24 - 12)
    habits = (strength[:, None] * np.exp(-(distance**2) / 3) + 0.02).astype(np.float32)
    return make_world(name, habits, rng.beta(1, 2.5, USERS))


def learnt(name: str, log: SendLog) -> float:
    """Visits per send caused by the hours of a response learnt from a log, over those caused at the best hour."""
    here = world(name)
    possible = np.broadcast_to(ALLOWED, here.free.shape)
    caused = caused_visits(fit_response(log), here.visit_hour, possible, here.comes)
    chosen, best = (np.where(possible, value, -1).argmax(axis=1) for value in (caused, here.visit_hour))
    rows = np.arange(USERS)
    return float(here.caused[rows, chosen].sum() / here.caused[rows, best].sum())


def logs(name: str, count: int, dates: int = 1) -> list[SendLog]:
    return [world(name).log(np.random.default_rng([7, number]), dates) for number in range(count)]


def test_a_pattern_that_habits_miss_is_found_from_one_random_send_a_user() -> None:
    gains = [learnt(EVENINGS, log) for log in logs(EVENINGS, 5)]
    assert min(gains) > 1.0
    assert np.mean(gains) > 1.6


def test_the_log_decides_for_the_response_where_it_is_better() -> None:
    judged = [policy.judge(log) for log in logs(EVENINGS, 2, dates=10)]
    assert [one.verdict for one in judged] == [policy.BETTER] * 2
    truth = world(EVENINGS).caused[:, ALLOWED].mean()
    for one in judged:
        assert one.caused[policy.RANDOM_HOUR].low < truth < one.caused[policy.RANDOM_HOUR].high
        assert one.caused[policy.ONE_HOUR].value > one.caused[policy.BEST_HOUR].value


def test_little_is_lost_where_the_best_hour_is_right_and_nothing_once_the_log_decides() -> None:
    judged = logs(HABITS, 5)
    assert min(learnt(HABITS, log) for log in judged) > 0.97
    assert policy.BETTER not in {policy.judge(log).verdict for log in judged}


def test_personal_hours_need_more_sends_and_it_says_how_many() -> None:
    judged = [policy.judge(log) for log in logs(PERSONAL, 5)]
    for one in judged:
        assert one.verdict == policy.NOT_ENOUGH
        assert one.needed > 5 * one.sends
        assert f"the log has {one.sends:,} pushes, and about {one.needed:,} are needed" in policy.in_words(one)[1]


def test_so_many_sends_as_are_said_to_be_needed_are_enough() -> None:
    """With them the interval of a gain of that size lies above 0 in four of five cases."""
    gain, other = Interval(0.03, -0.01, 0.07), Interval(0.0, -0.05, 0.05)
    needed = policy.sends_needed(gain, other, 10_000)
    half = 0.04 * (10_000 / needed) ** 0.5
    assert 0.03 / (half / 2.575829) == pytest.approx(2.575829 + 0.841621, rel=1e-3)
    assert policy.verdict_of(Interval(0.03, 0.03 - half, 0.03 + half), needed, needed) == policy.BETTER
    assert policy.verdict_of(gain, 10_000, needed) == policy.NOT_ENOUGH
    nothing = Interval(0.002, 0.001, 0.003)
    needed = policy.sends_needed(nothing, other, 10_000)
    assert needed == pytest.approx(10_000 * (3.41745 * 0.05 / 2.575829 / 0.01) ** 2, rel=1e-3)
    assert policy.verdict_of(nothing, needed - 1, needed) == policy.NOT_ENOUGH
    assert policy.verdict_of(nothing, needed, needed) == policy.NOT_BETTER


def test_with_few_sends_nothing_is_learnt() -> None:
    few = logs(HABITS, 1)[0].take(np.arange(500))
    judged = policy.judge(few)
    assert (judged.verdict, judged.needed, judged.response) == (policy.NOT_ENOUGH, policy.FEWEST_SENDS, None)
    assert policy.in_words(judged) == [f"Hours by response: not enough sends, {few.sends} of 1,000"]
    assert policy.judge(few.take(np.arange(0))).sends == 0


def test_without_rows_without_a_push_only_differences_are_known() -> None:
    log = logs(EVENINGS, 1)[0]
    sent = log.take(np.flatnonzero(log.hour != NO_SEND))
    judged = policy.judge(sent)
    assert judged.caused == {}
    assert policy.NO_PUSH not in judged.visits
    assert "visits within a day: at the best hour" in policy.in_words(judged)[0]


def test_a_user_is_not_judged_by_what_it_taught() -> None:
    """Where pushes cause nothing, a policy that is judged by the sends it was learnt from would seem to gain."""
    here = world(HABITS)
    nothing = ResponseWorld(here.visit_hour, here.comes, np.zeros_like(here.free))
    gains = []
    for number in range(10):
        log = nothing.log(np.random.default_rng(number), 1)
        caused = caused_visits(fit_response(log), log.visit_hour, log.possible, log.visit_probability)
        by_response = policy.choices(log, caused, caused[0])[policy.BY_RESPONSE]
        weights = policy.policy_weights(log, by_response)
        in_sample = weights @ (log.visited - log.visit_probability) / weights.sum()
        judged = policy.judge(log)
        assert judged.verdict != policy.BETTER
        gains.append((in_sample, judged.visits[policy.BY_RESPONSE].value - log.visit_probability.mean()))
    in_sample, fair = np.mean(gains, axis=0)
    assert in_sample > 0.01
    assert abs(fair) < in_sample / 2


@pytest.mark.parametrize("random_share", [1.0, 0.2])
def test_estimates_are_unbiased_and_their_intervals_hold(random_share: float) -> None:
    """Also with a model of the visits that is wrong everywhere."""
    here, users = world(EVENINGS), np.arange(2_000)
    shares = np.zeros((USERS, HOURS))
    shares[np.arange(USERS), 12 + np.arange(USERS) % 9] = 1
    truth = float((here.comes + (shares * here.caused).sum(axis=1))[users].mean())
    wrong_without, wrong_caused = np.full(USERS, 0.5), np.tile(np.linspace(-0.2, 0.3, HOURS), (USERS, 1))
    robust, weighted = [], []
    for number in range(400):
        log = here.log(np.random.default_rng([9, number]), 2, random_share)
        user = np.tile(np.arange(USERS), 2)
        rows = np.flatnonzero(user < len(users))
        log, user = log.take(rows), user[rows]
        scores = policy.doubly_robust_scores(log, wrong_without[user], wrong_caused[user], shares[user])
        robust.append(policy.mean_by_user(scores, user))
        weighted.append(policy.ratio_by_user(policy.policy_weights(log, shares[user]), log.visited, user))
    for estimates in (robust, weighted):
        values = np.array([one.value for one in estimates])
        assert abs(values.mean() - truth) < 4 * values.std() / len(values) ** 0.5
        assert 0.925 <= np.mean([one.low <= truth <= one.high for one in estimates]) <= 0.975


@given(
    propensity=hnp.arrays(np.float64, 4, elements=st.floats(0.05, 1)),
    means=hnp.arrays(np.float64, 4, elements=st.floats(0, 1)),
    wrong=hnp.arrays(np.float64, (1, HOURS), elements=st.floats(-1, 1)),
    wanted=hnp.arrays(np.float64, 3, elements=st.floats(0.01, 1)),
    base=st.floats(-1, 1),
)
def test_the_expected_score_is_the_value_whatever_the_model(
    propensity: np.ndarray, means: np.ndarray, wrong: np.ndarray, wanted: np.ndarray, base: float
) -> None:
    """Over all that may be done to a user, three hours or nothing, weighed by its probability."""
    propensity, wanted = propensity / propensity.sum(), wanted / wanted.sum()
    possible = np.zeros((4, HOURS), dtype=bool)
    possible[:, [8, 12, 20]] = True
    log = SendLog(
        user=np.array(["u"] * 4, dtype=object),
        hour=np.array([8, 12, 20, NO_SEND]),
        propensity=propensity,
        possible=possible,
        visit_hour=np.zeros((4, HOURS), dtype=np.float32),
        visit_probability=np.zeros(4),
        visited=means,
    )
    shares = np.zeros((4, HOURS))
    shares[:, [8, 12, 20]] = wanted
    without, caused = np.full(4, base), np.repeat(wrong, 4, axis=0)
    expected = propensity @ policy.doubly_robust_scores(log, without, caused, shares)
    assert expected == pytest.approx(wanted @ means[:3])
    assert propensity @ policy.without_push_scores(log, without) == pytest.approx(means[3])


def test_the_response_is_found_where_there_is_no_noise() -> None:
    rng = np.random.default_rng(0)
    rows = 20_000
    visit_hour = rng.random((rows, HOURS)).astype(np.float32)
    possible = np.broadcast_to(ALLOWED, (rows, HOURS))
    hour = np.where(rng.random(rows) < 0.2, NO_SEND, rng.choice(np.flatnonzero(ALLOWED), rows))
    comes = rng.random(rows)
    rank = (visit_hour > visit_hour[np.arange(rows), hour][:, None])[:, ALLOWED].sum(axis=1)
    causes = (1 - comes) * (0.1 + 0.2 * (hour == 19) + 0.15 * (rank == 0))
    log = SendLog(
        user=np.arange(rows).astype(str).astype(object),
        hour=hour,
        propensity=np.where(hour == NO_SEND, 0.2, 0.8 / 15),
        possible=possible,
        visit_hour=visit_hour,
        visit_probability=comes,
        visited=0.05 + 0.9 * comes + np.where(hour == NO_SEND, 0, causes),
    )
    found = fit_response(log)
    assert visits_without(found, np.array([0.0, 1.0])) == pytest.approx([0.05, 0.95], abs=2e-3)
    estimated = caused_visits(found, visit_hour, possible, comes)[np.arange(rows), np.maximum(hour, 0)]
    assert estimated[hour != NO_SEND] == pytest.approx(causes[hour != NO_SEND], abs=5e-3)


def test_a_log_is_read_as_the_query_writes_it(tmp_path: Path) -> None:
    possible = np.zeros((2, HOURS), dtype=bool)
    possible[0, [8, 20]], possible[1, :] = True, True
    chances = np.linspace(0, 1, 2 * HOURS, dtype=np.float32).reshape(2, HOURS)
    table = pa.table(
        {
            "user_id": ["a", "b"],
            "dt": ["2026-11-01"] * 2,
            "send_hour": pa.array([20, 8], pa.int8()),
            "withheld": pa.array([None, "no_push"], pa.string()),
            "propensity": [0.05, 0.1],
            "possible_hours": masks(possible),
            "visit_probability": pa.array([None, 0.25], pa.float32()),
            "visit_hour": chances.tolist(),
            "visited": pa.array([1, 0], pa.int32()),
        }
    )
    pq.write_table(table, tmp_path / "part")
    log = read_send_log([tmp_path / "part"])
    assert log.user.tolist() == ["a", "b"]
    assert log.hour.tolist() == [20, NO_SEND]
    assert log.propensity.tolist() == [0.05, 0.1]
    assert (log.possible == possible).all()
    assert log.visit_hour == pytest.approx(chances)
    assert log.visit_probability.tolist() == [0, 0.25]
    assert log.visited.tolist() == [1, 0]
    assert read_send_log([]).rows == 0
