"""Who gets a push where there is not room for all, and at which hour."""

from __future__ import annotations

from dataclasses import replace
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
    offset: int = 0,
    source: Any = schema.MODEL,
    as_of: int | None = None,
    fallback: int | None = None,
    **rules: Any,
) -> Plan:
    count = len(probability)
    users = pa.table(
        {
            schema.USER_ID: [f"user-{n:04d}" for n in range(count)],
            schema.UTC_OFFSET_MINUTES: pa.array([offset] * count, pa.int16()),
            schema.TIME_ZONE: pa.array([None] * count, pa.string()),
            schema.INFERRED_TIME_ZONE: pa.array([None] * count, pa.string()),
            schema.LAST_PUSH_AT: pa.array([None] * count, pa.timestamp("s")),
        }
    )
    forecasts = Forecasts(
        first_visit_hour=np.full((count, 24), 1 / 24, dtype=np.float32),
        visit_hour=np.asarray(visit_hour, dtype=np.float32),
        visit_probability=np.asarray(probability, dtype=np.float32),
        source=np.broadcast_to(np.array(source, dtype=object), count),
    )
    of = campaign(share, control, salt, window)
    of = replace(of, rules=replace(of.rules, **rules), fallback_hour=fallback)
    return plan_sends(users, forecasts, no_pushes(count), DATE, of, correction, as_of=as_of)


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


RUN_AT_1_30 = {"as_of": (DATE - 1) * 1440 + 990, "offset": 540}
"""The instant 16:30 UTC of the day before, which is 1:30 of the date nine hours east."""


@pytest.mark.parametrize(
    ("share", "rules"),
    [
        pytest.param(1.0, {}, id="room for all"),
        pytest.param(0.4, {}, id="no room for all"),
        pytest.param(1.0, RUN_AT_1_30, id="a run when the date has begun"),
        pytest.param(0.6, RUN_AT_1_30 | {"fallback": 3}, id="with a fallback hour, and no room for all"),
    ],
)
def test_the_propensity_is_the_frequency_over_many_assignments(share: float, rules: dict[str, Any]) -> None:
    """Another salt is another assignment of arms and random hours to the same users."""
    visit_hour, probability = made(7, 40, 0.25)
    visit_hour[:, 2] += 1.0  # most want the same hour
    source = np.where(np.arange(40) % 3 == 0, schema.PRIOR, schema.MODEL)
    times: dict[tuple[str, int], int] = {}
    logged: dict[tuple[str, int], set[float]] = {}
    for salt in SALTS:
        plan = planned(visit_hour, probability, share, 0.15, salt=salt, window=(0, 4), source=source, **rules)
        for row in plan.table.to_pylist():
            assert row["possible_hours"] == (0b1100 if rules else 0b1111)
            assert row["possible_hours"] >> row["send_hour"] & 1
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


@pytest.mark.parametrize(
    ("as_of", "offset", "first"),
    [
        pytest.param(DATE * 1440 - 480, 0, 0, id="the run is over before the date begins"),
        pytest.param(DATE * 1440 - 480, 840, 6, id="16:00 UTC is 6:00 of the date at UTC+14"),
        pytest.param(DATE * 1440 - 479, 840, 7, id="a minute later that hour has begun"),
        pytest.param(DATE * 1440 + 600, 0, 10, id="a run on the date"),
        pytest.param((DATE + 30) * 1440, 0, None, id="a date long past, as of now"),
        pytest.param(DATE * 1440 + 1439, -720, 12, id="a date that is over in UTC goes on in the west"),
    ],
)
def test_no_push_is_planned_for_an_instant_before_the_run(as_of: int, offset: int, first: int | None) -> None:
    visit_hour, probability = made(5, 30, 0.2)
    visit_hour[:, 0] = 0.99
    plan = planned(visit_hour, probability, 1.0, 0.1, as_of=as_of, offset=offset)
    if first is None:
        assert (plan.table.num_rows, plan.barred, plan.no_room) == (0, 30, 0)
        return
    assert set(plan.table[schema.POSSIBLE_HOURS].to_pylist()) == {2**24 - 2**first}
    assert min(plan.table[schema.SEND_AT_UTC].to_pylist()) >= np.datetime64(as_of, "m").astype(object)
    assert plan.barred == 0


@pytest.mark.parametrize(
    "rules",
    [{"weekdays": ("Monday", "Wednesday")}, {"dates_without_sends": frozenset({DATE})}],
    ids=["weekday", "date"],
)
def test_on_a_barred_date_nobody_is_planned_for(rules: dict[str, Any]) -> None:
    """2026-11-24 is a Tuesday."""
    visit_hour, probability = made(5, 30, 0.2)
    plan = planned(visit_hour, probability, 0.15, 0.02, **rules)
    assert (plan.table.num_rows, plan.barred, plan.no_room, plan.moved, plan.loss) == (0, 30, 0, 0, 0)
    allowed = {"weekdays": ("Tuesday",), "dates_without_sends": frozenset({DATE + 1})}
    assert planned(visit_hour, probability, 1.0, **allowed).table.equals(planned(visit_hour, probability, 1.0).table)


def test_who_has_too_little_history_gets_the_fallback_hour_or_the_nearest_possible_one() -> None:
    visit_hour, probability = made(5, 60, 0.3)
    source = np.where(np.isnan(probability) | (np.arange(60) % 2 == 0), schema.PRIOR, schema.MODEL)
    without = planned(visit_hour, probability, 1.0, source=source, window=(9, 20)).table.to_pandas()
    for fallback, hour in ((12, 12), (3, 9), (19, 19), (23, 19)):
        plan = planned(visit_hour, probability, 1.0, source=source, window=(9, 20), fallback=fallback)
        table = plan.table.to_pandas()
        assert set(table.send_hour[table.source == schema.PRIOR]) == {hour}
        own = ["user_id", "send_hour", "chance"]
        of_model = [
            frame[frame.source == schema.MODEL][own].set_index("user_id").sort_index() for frame in (table, without)
        ]
        assert of_model[0].equals(of_model[1])
        assert plan.moved == 0
    # Where the hour is full the others get the hours beside it, the later first.
    table = planned(visit_hour, probability, 0.2, source=schema.PRIOR, fallback=12).table.to_pandas()
    assert table.send_hour.value_counts().to_dict() == {12: 12, 13: 12, 11: 12, 14: 12, 10: 12}
    known = table[table.chance.notna()]
    assert set(known.send_hour) != set(table.send_hour), "users who never came get what is left"


def test_the_loss_is_measured_against_everybody_s_own_best_hour() -> None:
    """Two of four who want one hour get it; the others go where they are expected half as often, or never came."""
    visit_hour = np.full((4, 24), 0.2)
    visit_hour[:, 18] = 0.4
    plan = planned(visit_hour, [0.5, 0.5, 0.5, np.nan], share=0.25)
    assert plan.loss == pytest.approx(1 - (0.4 + 0.2 + 0.2) / (3 * 0.4))
    assert plan.moved == 3
    assert planned(visit_hour, [0.5, 0.5, 0.5, np.nan], share=1.0).loss == 0
