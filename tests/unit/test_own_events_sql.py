"""sql/own_events.sql against plain loops: which sessions after a push are taken for the user's own."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from event_loops import SESSION_GAP_S, Event, histories, table_of, visits_of
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.athena_sql import on_duckdb
from functions.publish_sql.app import composed

SQL = composed(
    {file.name: file.read_text(encoding="utf-8") for file in (Path(__file__).parents[2] / "sql").glob("*.sql")}
)
HOUR = timedelta(hours=1)


class Send(NamedTuple):
    """A row of the table sends."""

    user_id: str
    dt: str
    send_at_utc: datetime
    chance: float | None
    visit_probability: float | None
    withheld: str | None
    idempotency_key: str


SENDS = pa.schema(
    [
        ("user_id", pa.string()),
        ("dt", pa.string()),
        ("send_at_utc", pa.timestamp("ms")),
        ("chance", pa.float32()),
        ("visit_probability", pa.float32()),
        ("withheld", pa.string()),
        ("idempotency_key", pa.string()),
    ]
)


@pytest.fixture(scope="module")
def run() -> Iterator[Any]:
    texts = {name: on_duckdb(SQL[name]) for name in ("own_events.sql", "own_visits.sql")}

    def rows(events: list[Event], sends: Sequence[Send] = (), name: str = "own_events.sql") -> list[dict[str, Any]]:
        connection.register("events", table_of(events))
        given = [{**send._asdict(), "send_at_utc": send.send_at_utc.replace(tzinfo=None)} for send in sends]
        connection.register("sends", pa.Table.from_pylist(given, SENDS))
        return connection.sql(texts[name]).to_arrow_table().to_pylist()

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.create_function("crc32", lambda data: zlib.crc32(data), ["BLOB"], "BIGINT")
        yield rows


def as_events(rows: list[dict[str, Any]]) -> list[Event]:
    found = [Event(**{**row, "event_time": row["event_time"].replace(tzinfo=UTC)}) for row in rows]
    return sorted(found)


def own_events_of(events: list[Event], sends: Sequence[Send]) -> list[Event]:
    """The events that are kept, sorted."""
    session: dict[Event, datetime] = {}
    date_of: dict[tuple[str, datetime], str] = {}
    for user in {event.user_id for event in events}:
        start = previous = None
        for event in sorted((one for one in events if one.user_id == user), key=lambda one: (one[1], one[2])):
            time = event.event_time
            # Whole seconds, as date_diff counts them.
            if previous is None or (time - previous) // timedelta(seconds=1) > SESSION_GAP_S:
                start = time
                date_of[user, start] = f"{time + timedelta(minutes=event.utc_offset_minutes):%Y-%m-%d}"
            session[event], previous = start, time

    judged, sums = [], defaultdict(lambda: np.zeros(6))
    for send in sends:
        if send.chance is None or send.withheld not in (None, "no_push"):
            continue
        starts = [at for (user, at), date in date_of.items() if user == send.user_id and date == send.dt]
        answers = [at for at in starts if send.send_at_utc <= at < send.send_at_utc + HOUR]
        earlier = any(at < send.send_at_utc for at in starts)
        kind = 2 if earlier else 1 if len(starts) > len(answers) else 0
        chance = send.chance / send.visit_probability if kind else send.chance
        chance = max(min(chance, 0.999), 0.0001)
        group = kind, math.floor(2 * math.log(chance / (1 - chance)))
        judged.append((send, group, answers))
        sums[group][3 * (send.withheld is None) :][:3] += 1, bool(answers), chance
    of_kind = defaultdict(lambda: np.zeros(6))
    for (kind, _), row in sums.items():
        of_kind[kind] += row
    _, every_answered, every_chance, _, every_pushed_answered, every_pushed_chance = sum(sums.values(), np.zeros(6))
    dropped = set()
    for send, group, answers in judged:
        withheld, answered, _, pushed, pushed_answered, pushed_chance = sums[group]
        all_withheld, all_answered, all_chance, *_ = of_kind[group[0]]
        if send.withheld or not answers or not all_withheld:
            continue
        of_every = (every_answered + 10) / (every_chance + 10 * every_pushed_chance / every_pushed_answered)
        times = (all_answered + 10) / (all_chance + 10 / of_every)
        share = (answered + 50 * times * pushed_chance / pushed) / (withheld + 50) * pushed / pushed_answered
        if zlib.crc32(send.idempotency_key.encode()) / 2**32 >= share:
            dropped |= {(send.user_id, at) for at in answers}
    return sorted(event for event in events if (event.user_id, session[event]) not in dropped)


@given(events=histories())
@settings(max_examples=40, deadline=None)
def test_without_sends_the_visits_are_those_of_all_events(run: Any, events: list[Event]) -> None:
    assert as_events(run(events)) == sorted(events)
    assert run(events, name="own_visits.sql") == visits_of(events)


@st.composite
def sends_near(draw: st.DrawFn, events: list[Event]) -> list[Send]:
    sends = []
    for event in draw(st.lists(st.sampled_from(events), max_size=12)):
        at = event.event_time - draw(st.sampled_from([timedelta(0), HOUR, HOUR / 3, timedelta(hours=5), -HOUR / 3]))
        probability = draw(st.sampled_from([0.25, 0.5]))
        sends.append(
            Send(
                event.user_id,
                f"{at + timedelta(minutes=event.utc_offset_minutes):%Y-%m-%d}",
                at,
                draw(st.sampled_from([None, 0.125, 0.25, 0.03125])),
                probability,
                draw(st.sampled_from([None, None, "no_push", "opted_out"])),
                f"{draw(st.integers(0, 2**64)):032x}",
            )
        )
    return sends


@given(given_=histories().flatmap(lambda events: st.tuples(st.just(events), sends_near(events))))
@settings(max_examples=80, deadline=None)
def test_the_events_kept_are_those_of_plain_loops(run: Any, given_: tuple[list[Event], list[Send]]) -> None:
    events, sends = given_
    found = run(events, sends)
    assert as_events(found) == own_events_of(events, sends)


DAY = datetime(2026, 7, 1, tzinfo=UTC)


def a_world(effect: float, withheld_share: float) -> tuple[list[Event], list[Send], set[Event]]:
    """Users with habits at noon, a push at noon each, and the visits that it causes."""
    rng = np.random.default_rng(4)
    events, sends, caused = [], [], set()
    for number in range(20_000):
        user, day = f"user {number}", DAY + timedelta(days=number % 50)
        habit, withheld = (0.1, 0.4)[number % 2], rng.random() < withheld_share
        if rng.random() < 0.3:
            events.append(Event(user, day + timedelta(hours=9), 0, 1, "ios"))
        own = rng.random() < habit
        if own or (not withheld and rng.random() < effect):
            answer = Event(user, day + timedelta(hours=12, minutes=int(rng.integers(0, 50))), 0, 1, "ios")
            events.append(answer)
            if not own:
                caused.add(answer)
        key = f"{rng.integers(2**62):032x}"
        sends.append(
            Send(user, f"{day:%Y-%m-%d}", day + 12 * HOUR, 0.5 * habit, 0.5, "no_push" if withheld else None, key)
        )
    return events, sends, caused


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_as_many_visits_are_kept_as_users_come_by_themselves(run: Any, effect: float) -> None:
    """In each group of users alike."""
    events, sends, caused = a_world(effect, 0.2)
    kept = set(as_events(run(events, sends)))
    assert {event for event in events if event.event_time.hour == 9} <= kept
    for habit in (0, 1):
        noon = [event for event in events if event.event_time.hour == 12 and int(event.user_id[5:]) % 2 == habit]
        own = sum(event not in caused for event in noon)
        assert sum(event in kept for event in noon) == pytest.approx(own, rel=0.15)


def test_without_withheld_sends_all_visits_are_kept(run: Any) -> None:
    events, sends, _ = a_world(0.3, 0.0)
    assert as_events(run(events, sends)) == sorted(events)


def test_a_user_who_comes_although_the_probability_is_0_is_judged_too(run: Any) -> None:
    """Answers have six decimals."""
    events = [Event("ann", DAY + timedelta(hours=9), 0, 1, "ios"), Event("ann", DAY + 12 * HOUR, 0, 1, "ios")]
    sends = [Send("ann", f"{DAY:%Y-%m-%d}", DAY + 12 * HOUR, 0.0, 0.0, None, "0" * 32)]
    assert as_events(run(events, sends)) == events


def test_of_offsets_at_one_instant_the_smallest_decides_on_the_date(run: Any) -> None:
    start = DAY + timedelta(hours=7)
    events = [Event("Bob", start, -720, 1, "ios"), Event("Bob", start, -240, 1, "ios")]
    sends = [
        Send("ann", f"{DAY:%Y-%m-%d}", start, 0.03125, 0.25, "no_push", "0" * 32),
        Send("Bob", f"{DAY:%Y-%m-%d}", start, 0.0001, 0.25, None, "1" * 32),
    ]
    for given_ in (events, events[::-1]):
        assert as_events(run(given_, sends)) == events
