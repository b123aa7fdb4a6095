"""Seconds until the console shows what a plan would be with another rule, once it has read the run's inputs."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
import pyarrow as pa

from benchmarks.pipeline import Figure
from visitcast.data import schema
from visitcast.data.schema import HOURS
from visitcast.sending import policy, what_if
from visitcast.sending.answers import Forecasts
from visitcast.sending.arms import ControlGroup
from visitcast.sending.capacity import SAMPLE_USERS
from visitcast.sending.drift import Limits
from visitcast.sending.plan_inputs import PlanInputs, planned
from visitcast.sending.pushes import no_pushes
from visitcast.sending.realised import ClosedDates
from visitcast.sending.send_window import SendRules
from visitcast.sending.settings import Campaign

USERS: Final = 100_000
DATE: Final = 20_780
ZONES: Final = {"Europe/Berlin": 60, "America/New_York": -300, "Asia/Tokyo": 540}
RULES: Final[dict[str, dict[str, Any]]] = {
    "the whole day": {},
    "9 to 21": {"window": (9, 21)},
    "9 to 21, 5% of the users an hour": {"window": (9, 21), "share": 0.05},
}
"""What is asked, the last so that hours are full."""


def measure(quick: bool = False) -> list[Figure]:
    """Plan the sends of the same users for several rules, as the console does and as the run does."""
    users = 2_000 if quick else USERS
    inputs = simulated_inputs(users)
    figures = []
    for title, rules in RULES.items():
        campaign = campaign_with(**rules)
        begun = time.perf_counter()
        quickly = planned(inputs, campaign, what_if.SAMPLE_USERS)
        seconds = time.perf_counter() - begun
        begun = time.perf_counter()
        exactly = planned(inputs, campaign, SAMPLE_USERS)
        of_run = time.perf_counter() - begun
        subject = f"{users:,} users"
        figures += [
            Figure(subject, f"{title}: shown after", seconds, "s", "< 1"),
            Figure(subject, f"{title}: the run's own plan", of_run, "s"),
            Figure(subject, f"{title}: visits lost to capacity", 100 * quickly.loss, "%"),
            Figure(subject, f"{title}: the same by the run's own plan", 100 * exactly.loss, "%"),
        ]
    return figures


def campaign_with(window: tuple[int, int] = (0, 0), share: float = 1.0) -> Campaign:
    """Return a campaign with some rules."""
    return Campaign(
        name="daily",
        rules=SendRules(window=window),
        largest_hour_share=share,
        control=ControlGroup("benchmark", 0.05, 0.05, 0.1),
        by_response=False,
        limits=Limits(0.25, 0.15, 0.05, 1.25, 200),
    )


def simulated_inputs(users: int, seed: int = 5) -> PlanInputs:
    """Return inputs of a plan for users in three time zones, each with some favourite hours."""
    rng = np.random.default_rng(seed)
    zones = rng.choice(np.array(list(ZONES), dtype=object), users)
    favourite = rng.gamma(0.3, size=(users, HOURS)).astype(np.float32)
    hours = favourite / favourite.sum(axis=1, keepdims=True)
    table = pa.table(
        {
            schema.USER_ID: [f"user-{number:07d}" for number in range(users)],
            schema.PLATFORM: pa.array(["web"] * users),
            schema.UTC_OFFSET_MINUTES: pa.array([ZONES[zone] for zone in zones], pa.int16()),
            schema.TIME_ZONE: pa.array(zones, pa.string()),
            schema.INFERRED_TIME_ZONE: pa.nulls(users, pa.string()),
            schema.LAST_VISIT_DATE: pa.array(np.full(users, DATE - 2, dtype=np.int32)).cast(pa.date32()),
            schema.LAST_PUSH_AT: pa.nulls(users, pa.timestamp("s")),
            schema.HISTORY_DAYS: pa.array(np.full(users, 20)),
        }
    )
    return PlanInputs(
        date=DATE,
        as_of=(DATE - 1) * 1440 + 16 * 60,
        users=table,
        forecasts=Forecasts(hours, hours, rng.random(users).astype(np.float32), np.full(users, "model", dtype=object)),
        closed=ClosedDates(),
        pushes=no_pushes(users),
        judged=policy.Judgement(policy.NOT_ENOUGH, 0, policy.FEWEST_SENDS),
    )
