"""What came of the sends, from which other policies are judged, against plain loops."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from event_loops import Event, histories
from forecast_queries import AS_OF, CLOSED, HandedOver, Known, Run, forecasts_of, pairs_of
from hypothesis import given, settings
from hypothesis import strategies as st

DATES = [f"{CLOSED + timedelta(days=days)}" for days in (-28, -27, -1, 0, 1)]
"""The first and the last are not among the closed dates."""
INSTANTS = [AS_OF - timedelta(days=1), AS_OF - timedelta(days=2), AS_OF - timedelta(days=27)]
DAY = timedelta(days=1)


@st.composite
def sends_of(draw: st.DrawFn, pairs: list[tuple[str, str]], instants: list[datetime]) -> list[HandedOver]:
    rows = []
    for number, (dt, user) in enumerate(pairs):
        at = draw(st.sampled_from(instants)) - draw(st.sampled_from([timedelta(0), DAY, timedelta(seconds=1), DAY / 2]))
        rows.append(
            HandedOver(
                dt,
                draw(st.sampled_from(["daily", "daily", "weekly"])),
                user,
                number,
                at.replace(microsecond=0),
                0.1,
                draw(st.sampled_from([None, 0.25])),
                draw(st.sampled_from([None, None, "no_push", "opted_out"])),
            )
        )
    return rows


@given(data=st.data(), events=histories(tuple(INSTANTS)))
@settings(max_examples=80, deadline=None)
def test_the_log_holds_sends_that_are_over_with_forecast_and_outcome(
    run: Run, data: st.DataObject, events: list[Event]
) -> None:
    pairs = data.draw(pairs_of(DATES))
    forecasts = data.draw(forecasts_of(pairs[1:]))
    sends = data.draw(sends_of(pairs, [*INSTANTS, *(event.event_time for event in events)]))
    by_pair: dict[tuple[str, str], Known] = {(row.dt, row.user_id): row for row in forecasts}
    expected = []
    for send in sends:
        forecast = by_pair.get((send.dt, send.user_id))
        over = send.send_at_utc + DAY <= AS_OF and DATES[0] < send.dt <= f"{CLOSED}"
        if send.campaign != "daily" or send.withheld == "opted_out" or forecast is None or not over:
            continue
        visited = any(
            event.user_id == send.user_id and send.send_at_utc <= event.event_time < send.send_at_utc + DAY
            for event in events
        )
        row = send._asdict() | {"visit_hour": pytest.approx(forecast.visit_hour), "visited": int(visited)}
        for name in ("campaign", "chance", "send_at_utc", "idempotency_key"):
            row.pop(name)
        expected.append(row)
    found = run("send_log", events, forecasts, handed_over=sends)
    assert sorted(found, key=lambda row: row["send_hour"]) == expected
