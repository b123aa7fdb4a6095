"""What was expected of the dates that are over, and what came of it, against plain loops."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime, time, timedelta
from statistics import mean, stdev
from typing import Any, NamedTuple

import pytest
from event_loops import CLOCK_CHANGES, Event, histories, visits_of
from forecast_queries import AS_OF, CLOSED, HandedOver, Known, Run, Send, forecasts_of, pairs_of, sends_of
from hypothesis import given, settings
from hypothesis import strategies as st

OVER = [f"{CLOSED - timedelta(days=back)}" for back in (-1, 0, 1, 6, 7, 27, 28)]
NEAR_OVER = [
    CLOCK_CHANGES[1] - timedelta(days=1),
    *(datetime.combine(CLOSED - timedelta(days=back), time(12), UTC) for back in (1, 6, 7, 27)),
]


def visits_by_day(events: list[Event]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(visit["user_id"], visit["visit_date"]): visit for visit in visits_of(events)}


def closed(dt: str, days: int) -> bool:
    return f"{CLOSED - timedelta(days=days - 1)}" <= dt <= f"{CLOSED}"


class Over(NamedTuple):
    """Dates that are over: events, forecasts and plans, and what was handed over or withheld."""

    events: list[Event]
    forecasts: list[Known]
    plans: list[Send]
    sends: list[HandedOver]

    def counts(self, user: str, dt: str) -> bool:
        """Whether the user got no push on the date, and not by a rule alone."""
        own = [send.withheld for send in self.sends if (send.user_id, send.dt) == (user, dt)]
        of_date = [send.withheld for send in self.sends if send.dt == dt]
        return all(withheld == "no_push" for withheld in own) and (not of_date or "no_push" in of_date)


@st.composite
def over(draw: st.DrawFn) -> Over:
    """Events, and forecasts and plans for every day with a visit and for some without; of some the sends."""
    events = draw(histories(NEAR_OVER))
    visits = visits_of(events)
    visited = [(visit["visit_date"], visit["user_id"]) for visit in visits]
    pairs = sorted({*visited, *draw(pairs_of(OVER, smallest=0))})
    hours = sorted({visit["first_visit_hour"] for visit in visits})
    plans = draw(sends_of(pairs, [AS_OF], [*hours, 0]))
    sent = draw(st.lists(st.sampled_from(plans), max_size=6)) if plans else []
    sends = [
        HandedOver(
            plan.dt,
            draw(st.sampled_from(["daily", "other"])),
            plan.user_id,
            plan.send_hour,
            plan.send_at_utc,
            plan.chance,
            plan.visit_probability,
            draw(st.sampled_from([None, "no_push", "no_push", "opted_out"])),
        )
        for plan in sent
    ]
    return Over(events, draw(forecasts_of(pairs)), plans, sends)


@given(given=over())
@settings(max_examples=50, deadline=None)
def test_outcomes_are_those_of_the_models_forecasts_of_a_week(run: Run, given: Over) -> None:
    visits = visits_by_day(given.events)
    losses, hits, users = [], [], set()
    for row in given.forecasts:
        visit = visits.get((row.user_id, row.dt))
        if visit is not None and row.source == "model" and closed(row.dt, 7) and given.counts(row.user_id, row.dt):
            losses.append(-math.log(max(row.first_visit_hour[visit["first_visit_hour"]], 1e-12)))
            hits.append(visit["hourly_visits"] >> row.best_hour & 1)
            users.add(row.user_id)
    (found,) = run("outcomes", given.events, given.forecasts, handed_over=given.sends)
    assert (found["rows"], found["users"]) == (len(losses), len(users))
    assert found["log_loss"] == (pytest.approx(mean(losses), abs=1e-5) if losses else None)
    assert found["best_hour_hit_rate"] == (pytest.approx(mean(hits)) if hits else None)
    assert found["log_loss_deviation"] == (pytest.approx(stdev(losses), abs=1e-5) if len(losses) > 1 else None)


@given(given=over())
@settings(max_examples=50, deadline=None)
def test_realised_visits_are_counted_by_date_beside_those_expected(run: Run, given: Over) -> None:
    visits = visits_by_day(given.events)
    sums: dict[tuple[str, str, int | None], list[float]] = defaultdict(lambda: [0, 0.0, 0.0, 0.0, 0])

    def add(outcome: str, dt: str, forecast: float, chance: float, came: int) -> None:
        quarter = math.floor(4 * math.log(max(forecast, 1e-6) / max(1 - forecast, 1e-6)))
        for position, value in enumerate((1, forecast, chance, chance * (1 - chance), came)):
            sums[outcome, dt, quarter][position] += value

    known = {(row.user_id, row.dt): row for row in given.forecasts if given.counts(row.user_id, row.dt)}

    for row in known.values():
        if (p := row.visit_probability) is not None and closed(row.dt, 28):
            add("visitors", row.dt, p, p, (row.user_id, row.dt) in visits)
    for send in given.plans:
        forecast = known.get((send.user_id, send.dt))
        if forecast is None or forecast.visit_probability is None:
            continue
        if send.visit_probability is not None and send.chance is not None and closed(send.dt, 28):
            mask = visits.get((send.user_id, send.dt), {"hourly_visits": 0})["hourly_visits"]
            product = forecast.visit_probability * forecast.visit_hour[send.send_hour]
            add("sends", send.dt, product, send.chance, mask >> send.send_hour & 1)
    found = {}
    for one in run("realised_visits", given.events, given.forecasts, given.plans, handed_over=given.sends):
        key = one["outcome"], one["dt"], one["quarter_of_log_odds"]
        assert key not in found
        found[key] = [float(one[name]) for name in ("rows", "forecast", "expected", "variance", "realised")]
    assert found == {key: pytest.approx(values) for key, values in sums.items()}


@pytest.mark.parametrize(
    ("days", "offset", "local_time"),
    [
        pytest.param(27, 840, time(0, 30), id="east, on the first"),
        pytest.param(0, -600, time(23, 30), id="west, on the last"),
    ],
)
def test_visits_whose_utc_date_lies_outside_the_window_count(
    run: Run, days: int, offset: int, local_time: time
) -> None:
    day = CLOSED - timedelta(days=days)
    event = Event("ann", datetime.combine(day, local_time, UTC) - timedelta(minutes=offset), offset, 1, "ios")
    chances = [1 / 24] * 24
    known = Known(f"{day}", "ann", chances, chances, 0, "model", "ios", offset, None, day - timedelta(days=1), 0.5)
    send = Send(f"{day}", "ann", "best_hour", local_time.hour, AS_OF, 0.25, 0.5)
    found = run("realised_visits", [event], [known], [send])
    assert [(row["outcome"], row["realised"]) for row in found] == [("sends", 1), ("visitors", 1)]
