"""Who gets a push where there is not room for all, and at which hour."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visitcast.data import schema
from visitcast.data.calendar import days_since_epoch
from visitcast.forecasting.correction import NO_CORRECTION, Correction
from visitcast.sending.answers import Forecasts
from visitcast.sending.arms import ControlGroup
from visitcast.sending.drift import Limits
from visitcast.sending.plan import Plan, capacity_for_best, expected_by_hour, plan_sends
from visitcast.sending.pushes import no_pushes
from visitcast.sending.send_window import SendRules
from visitcast.sending.settings import Campaign

DATE = days_since_epoch(date(2026, 11, 24))


def campaign(share: float, control: float = 0.0, salt: str = "test", window: tuple[int, int] = (0, 0)) -> Campaign:
    rules = SendRules(window=window, quiet=None, minimum_gap_minutes=0)
    return Campaign("daily", rules, share, ControlGroup(salt, control, control, control), False, Limits())


def planned(
    visit_hour: Any,
    probability: Any,
    share: float,
    control: float = 0.0,
    correction: Correction = NO_CORRECTION,
    salt: str = "test",
    window: tuple[int, int] = (0, 0),
) -> Plan:
    count = len(probability)
    users = pa.table(
        {
            schema.USER_ID: [f"user-{n:04d}" for n in range(count)],
            schema.UTC_OFFSET_MINUTES: pa.array([0] * count, pa.int16()),
            schema.TIME_ZONE: pa.array([None] * count, pa.string()),
            schema.INFERRED_TIME_ZONE: pa.array([None] * count, pa.string()),
            schema.LAST_PUSH_AT: pa.array([None] * count, pa.timestamp("s")),
        }
    )
    forecasts = Forecasts(
        first_visit_hour=np.full((count, 24), 1 / 24, dtype=np.float32),
        visit_hour=np.asarray(visit_hour, dtype=np.float32),
        visit_probability=np.asarray(probability, dtype=np.float32),
        source=np.full(count, schema.MODEL, dtype=object),
    )
    return plan_sends(users, forecasts, no_pushes(count), DATE, campaign(share, control, salt, window), correction)


def made(seed: int, users: int, unknown: float) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    probability = np.where(rng.random(users) < unknown, np.nan, rng.uniform(0.01, 0.9, users))
    return rng.uniform(0.01, 0.9, (users, 24)), probability


def test_capacity_is_for_those_who_come() -> None:
    """All want one hour; a sharp habit of somebody who stays away is worth less than a daily user's."""
    visit_hour = np.full((4, 24), 1e-6)
    visit_hour[:, 18] = [0.9, 0.8, 0.3, 0.3]
    table = planned(visit_hour, [0.01, 0.02, 0.9, 0.8], share=0.5).table.to_pandas().set_index("user_id")
    assert set(table.index[table.send_hour == 18]) == {"user-0002", "user-0003"}
    np.testing.assert_allclose(table.chance["user-0002"], 0.27, rtol=1e-6)


@given(
    seed=st.integers(0, 1000),
    control=st.sampled_from([0.0, 0.2]),
    correction=st.sampled_from([Correction(0.8, -1.0), NO_CORRECTION, Correction(shift=2.0)]),
)
@settings(max_examples=12, deadline=None)
def test_a_chance_is_that_of_coming_and_visiting_then(seed: int, control: float, correction: Correction) -> None:
    visit_hour, probability = made(seed, 60, 0.2)
    table = planned(visit_hour, probability, 0.05, control, correction).table.to_pandas()
    user = table.user_id.str[-4:].astype(int)
    odds = (probability[user] / (1 - probability[user])) ** correction.slope * np.exp(correction.shift)
    np.testing.assert_allclose(table.visit_probability, odds / (1 + odds), rtol=1e-4)
    expected = odds / (1 + odds) * visit_hour[user, table.send_hour]
    np.testing.assert_allclose(table.chance, expected, rtol=1e-4)
    assert (table.chance.isna() == np.isnan(probability[user])).all()


@given(seed=st.integers(0, 1000), unknown=st.sampled_from([0.3, 0.5, 0.8]))
@settings(max_examples=12, deadline=None)
def test_who_never_came_gets_a_push_only_where_room_is_left(seed: int, unknown: float) -> None:
    """24 hours of one send each, for 60 users."""
    visit_hour, probability = made(seed, 60, unknown)
    known = ~np.isnan(probability)
    sent = planned(visit_hour, probability, 1 / 60 + 1e-9).table[schema.CHANCE].to_pandas()
    assert len(sent) == 24
    assert sent.notna().sum() == min(24, known.sum())
    # Their presence costs the others nothing.
    alone = planned(visit_hour[known], probability[known], 1 / known.sum() + 1e-9).table[schema.CHANCE].to_pandas()
    assert sent.sum() == pytest.approx(alone.sum(), rel=1e-5)


def test_one_hour_for_all_is_that_of_most_expected_visits() -> None:
    visit_hour = np.full((3, 24), 0.1, dtype=np.float32)
    visit_hour[0, 8], visit_hour[1:, 20] = 0.9, 0.6
    rules = campaign(1.0)
    for probability, best in (([0.9, 0.1, np.nan], 8), ([0.2, 0.5, 0.5], 20), ([np.nan] * 3, 20)):
        expected = expected_by_hour(visit_hour, np.array(probability, dtype=np.float32), rules)
        assert expected.argmax() == best


SALTS = [f"experiment {number}" for number in range(400)]


@pytest.mark.parametrize("share", [1.0, 0.4], ids=["room for all", "no room for all"])
def test_the_propensity_is_the_frequency_over_many_assignments(share: float) -> None:
    """Another salt is another assignment of arms and random hours to the same users."""
    visit_hour, probability = made(7, 40, 0.25)
    visit_hour[:, 2] += 1.0  # most want the same hour
    times: dict[tuple[str, int], int] = {}
    logged: dict[tuple[str, int], set[float]] = {}
    for salt in SALTS:
        for row in planned(visit_hour, probability, share, 0.15, salt=salt, window=(0, 4)).table.to_pylist():
            key = row["user_id"], -1 if row["arm"] == "no_push" else row["send_hour"]
            times[key] = times.get(key, 0) + 1
            logged.setdefault(key, set()).add(round(row["propensity"], 12))
    for key, (propensity, *others) in logged.items():
        assert not others, "the same hour has the same propensity, whatever the arm"
        deviation = (propensity * (1 - propensity) / len(SALTS)) ** 0.5
        assert abs(times[key] / len(SALTS) - propensity) < 5 * deviation, key
    for user in {user for user, _ in logged}:
        # All that can happen to a user has happened in so many draws.
        assert sum(sum(found) for (of, _), found in logged.items() if of == user) == pytest.approx(1)


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.1, 0.2, 1.0]), control=st.sampled_from([0.02, 0.05]))
@settings(max_examples=12, deadline=None)
def test_neither_who_has_a_row_nor_the_best_hour_depends_on_the_arms(seed: int, share: float, control: float) -> None:
    visit_hour, probability = made(seed, 120, 0.2)
    first, second = (
        planned(visit_hour, probability, share, control, salt=salt).table.to_pandas().set_index("user_id").sort_index()
        for salt in ("one", "two")
    )
    assert first.index.to_list() == second.index.to_list()
    planned_alike = first.arm.isin(["best_hour", "no_push"]) & second.arm.isin(["best_hour", "no_push"])
    assert planned_alike.sum() > 10
    assert (first.send_hour[planned_alike] == second.send_hour[planned_alike]).all()
    assert ((first.withheld == "no_push") == (first.arm == "no_push")).all()
    assert (first.possible_hours == 2**24 - 1).all()


@given(
    most=st.integers(1, 10_000),
    of_control=st.floats(0, 12_000),
    control=st.sampled_from([0.0, 0.02, 0.1, 0.3]),
)
def test_an_hour_has_room_for_chance(most: int, of_control: float, control: float) -> None:
    of_control *= control > 0
    (best,) = capacity_for_best(most, np.array([of_control]), campaign(1.0, control))
    share = 1 - 3 * control

    def high(users: int) -> float:
        return users * share + of_control + 3 * (users * share * (1 - share) + of_control) ** 0.5

    if control == 0:
        assert best == most
    elif best:
        assert high(best) <= most + 1e-6
    if high(1) <= most - 1e-6:
        assert high(best + 1) > most - 1e-6


def test_no_hour_takes_more_than_its_share_though_arms_are_drawn() -> None:
    visit_hour, probability = made(3, 600, 0.1)
    visit_hour[:, 18] += 1.0
    for salt in SALTS[:5]:
        table = planned(visit_hour, probability, 0.15, 0.05, salt=salt).table.to_pandas()
        sent = table[table.withheld.isna()]
        assert sent.send_hour.value_counts().max() <= 0.15 * 600
        assert sent.send_hour.value_counts()[18] > 0.5 * 0.15 * 600
