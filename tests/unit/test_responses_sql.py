"""Responses to earlier sends against a plain loop over events and sends."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

from event_loops import CLOCK_CHANGES, Event, histories
from forecast_queries import AS_OF, DAY, HOURS, Run, Send, pairs_of, sends_of
from hypothesis import given, settings
from hypothesis import strategies as st

SENT = [f"{DAY - timedelta(days=back)}" for back in (-1, 0, 1, 3, 5, 6)]


@st.composite
def events_and_sends(draw: st.DrawFn) -> tuple[list[Event], list[Send]]:
    events = draw(histories((CLOCK_CHANGES[1], AS_OF - timedelta(hours=3))))
    return events, draw(sends_of(draw(pairs_of(SENT)), [AS_OF, *(event.event_time for event in events)]))


@given(given=events_and_sends())
@settings(max_examples=60, deadline=None)
def test_responses_are_visits_within_some_hours_of_a_send(run: Run, given: tuple[list[Event], list[Send]]) -> None:
    events, sends = given
    window = timedelta(hours=HOURS)
    read = [
        e for e in events if f"{DAY - timedelta(days=6)}" <= f"{e.event_time:%Y-%m-%d}" <= f"{DAY + timedelta(days=1)}"
    ]
    by_user: dict[tuple[str, str], list[bool]] = defaultdict(list)
    # A user has one send a date; two at one instant count once.
    for user, arm, at in {(send.user_id, send.arm, send.send_at_utc) for send in sends if in_lift(send)}:
        if at + window <= AS_OF:
            came = any(event.user_id == user and at <= event.event_time < at + window for event in read)
            by_user[arm, user].append(came)
    expected = []
    for arm in sorted({arm for arm, _ in by_user}):
        users = [answers for (of_arm, _), answers in by_user.items() if of_arm == arm]
        expected.append(
            {
                "arm": arm,
                "users": len(users),
                "sends": sum(len(answers) for answers in users),
                "responses": sum(sum(answers) for answers in users),
                "sends_squared": sum(len(answers) ** 2 for answers in users),
                "responses_squared": sum(sum(answers) ** 2 for answers in users),
                "sends_times_responses": sum(len(answers) * sum(answers) for answers in users),
            }
        )
    assert run("responses", events, sends=sends) == expected


def in_lift(send: Send) -> bool:
    return f"{DAY - timedelta(days=5)}" <= send.dt <= f"{DAY}"
