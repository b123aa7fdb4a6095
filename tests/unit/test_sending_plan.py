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
from visitcast.sending.plan import Plan, global_best_hour, plan_sends
from visitcast.sending.send_window import SendRules
from visitcast.sending.settings import Campaign

DATE = days_since_epoch(date(2026, 11, 24))


def campaign(share: float, control: float = 0.0) -> Campaign:
    rules = SendRules(window=(0, 0), quiet=None, minimum_gap_minutes=0)
    return Campaign("daily", rules, share, ControlGroup("test", control, control), Limits())


def planned(
    visit_hour: Any, probability: Any, share: float, control: float = 0.0, correction: Correction = NO_CORRECTION
) -> Plan:
    count = len(probability)
    users = pa.table(
        {
            schema.USER_ID: [f"user-{n:04d}" for n in range(count)],
            schema.UTC_OFFSET_MINUTES: pa.array([0] * count, pa.int16()),
            schema.TIME_ZONE: pa.array([None] * count, pa.string()),
            schema.LAST_PUSH_AT: pa.array([None] * count, pa.timestamp("s")),
        }
    )
    forecasts = Forecasts(
        first_visit_hour=np.full((count, 24), 1 / 24, dtype=np.float32),
        visit_hour=np.asarray(visit_hour, dtype=np.float32),
        visit_probability=np.asarray(probability, dtype=np.float32),
        source=np.full(count, schema.MODEL, dtype=object),
    )
    return plan_sends(users, forecasts, DATE, campaign(share, control), correction)


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


def test_in_a_control_arm_too_who_never_came_is_left_out_first() -> None:
    probability = np.where(np.arange(40) < 20, np.nan, 0.5)
    visit_hour = np.full((40, 24), 0.1)
    visit_hour[:, 12] = 0.5
    table = planned(visit_hour, probability, 5 / 40, control=0.5).table.to_pandas()
    together = table[table.arm == "global_best_hour"]
    assert (together.send_hour == 12).all()
    assert len(together) == 5
    assert together.chance.notna().all()


def test_one_hour_for_all_is_that_of_most_expected_visits() -> None:
    visit_hour = np.full((3, 24), 0.1, dtype=np.float32)
    visit_hour[0, 8], visit_hour[1:, 20] = 0.9, 0.6
    rules = campaign(1.0)
    assert global_best_hour(visit_hour, np.array([0.9, 0.1, np.nan], dtype=np.float32), rules) == 8
    assert global_best_hour(visit_hour, np.array([0.2, 0.5, 0.5], dtype=np.float32), rules) == 20
    assert global_best_hour(visit_hour, np.full(3, np.nan, dtype=np.float32), rules) == 20
