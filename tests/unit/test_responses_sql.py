"""The query that computes the sums of the lift against plain loops over events, sends and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pytest
from event_loops import CLOCK_CHANGES, Event, histories, local, table_of
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.athena_sql import on_duckdb
from functions.prepare_forecast import plan
from functions.shared.execution_input import load_schema, validated
from functions.shared.network import Network

SQL = Path(__file__).parents[2] / "sql"
DAY = date(2026, 11, 3)
"""The forecast date, two days after New York's clocks went back."""
AS_OF = datetime(2026, 11, 3, 4, tzinfo=UTC)
SALT = "it's salt"
STARTS = f"{DAY - timedelta(days=5)}"
Sums = dict[tuple[str, int, str], tuple[float, ...]]
Run = Callable[..., Sums]


class Send(NamedTuple):
    """A row of the table sends."""

    dt: str
    campaign: str
    salt: str
    user_id: str
    arm: str
    send_at_utc: datetime
    withheld: str | None
    visit_probability: float | None

    @property
    def key(self) -> str:
        return f"{self.campaign} {self.dt} {self.user_id}"


class Report(NamedTuple):
    """A row of push_reports."""

    idempotency_key: str
    status: str
    dt: str


SENDS = pa.schema(
    [
        ("dt", pa.string()),
        ("campaign", pa.string()),
        ("salt", pa.string()),
        ("user_id", pa.string()),
        ("arm", pa.string()),
        ("send_at_utc", pa.timestamp("ms")),
        ("withheld", pa.string()),
        ("visit_probability", pa.float32()),
        ("idempotency_key", pa.string()),
    ]
)
REPORTS = pa.schema([("idempotency_key", pa.string()), ("status", pa.string()), ("dt", pa.string())])


def rendered(response_hours: int) -> str:
    given = validated(
        {
            "ForecastDate": f"{DAY}",
            "AsOf": f"{AS_OF:%Y-%m-%dT%H:%M:%SZ}",
            "Campaign": {"Name": "spring", "Control": {"Salt": SALT}},
            "Lift": {"ResponseHours": response_hours, "WindowDays": 5},
        },
        load_schema("forecast"),
        plan.contradictions,
    )
    run = plan.plan_forecast(
        given,
        execution_id="arn:aws:states:eu-central-1:123456789012:execution:a:b",
        started_at="2026-11-03T04:00:00Z",
        bucket="bucket",
        network=Network(),
    )
    (query,) = [query["Sql"] for query in plan.render_queries(run, "app", SQL) if query["Name"] == "responses"]
    return on_duckdb(query)


@pytest.fixture(scope="module", params=[2, 30])
def hours(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def run(hours: int) -> Iterator[Run]:
    text = rendered(hours)

    def rows(events: list[Event], sends: list[Send], reports: list[Report]) -> Sums:
        listed = [
            {**send._asdict(), "send_at_utc": send.send_at_utc.replace(tzinfo=None), "idempotency_key": send.key}
            for send in sends
        ]
        tables = {
            "events": table_of(events).append_column("dt", [[f"{event.event_time:%Y-%m-%d}" for event in events]]),
            "sends": pa.Table.from_pylist(listed, SENDS),
            "push_reports": pa.Table.from_pylist([report._asdict() for report in reports], REPORTS),
        }
        for name, content in tables.items():
            connection.register("given", content)
            connection.execute(f"CREATE OR REPLACE TABLE app.{name} AS SELECT * FROM given")
        found = connection.sql(text).to_arrow_table().to_pylist()
        return {
            (row.pop("arm"), row.pop("third"), row.pop("outcome")): tuple(float(value) for value in row.values())
            for row in found
        }

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("CREATE SCHEMA app")
        yield rows


def judged(events: list[Event], sends: list[Send], reports: list[Report], hours: int) -> Sums:
    """Compute the same sums by loops."""
    recorded = [s for s in sends if s.campaign == "spring" and s.salt == SALT and s.dt <= f"{DAY}"]
    ends = AS_OF - timedelta(hours=max(24, hours))
    over = [s for s in recorded if s.dt >= STARTS and s.send_at_utc <= ends]
    last = max((date.fromisoformat(s.dt) for s in over), default=DAY)
    users: dict[tuple[str, int], dict[str, list[tuple[int, int, float]]]] = {}
    counts: dict[tuple[str, int], list[tuple[int, int]]] = {}
    begins = min((send.dt for send in recorded), default="")
    at_first = sorted(send.visit_probability or 0.0 for send in recorded if send.dt == begins)
    # The first third has one user more where they do not come out even, then the second, which may have none.
    first_end, second_end = -(-len(at_first) // 3), -(-len(at_first) // 3) - (1 - len(at_first)) // 3
    of_first = at_first[:first_end][-1:]
    of_second = at_first[first_end:second_end][-1:]
    for user in {send.user_id for send in over}:
        first = min((send for send in recorded if send.user_id == user), key=lambda send: send.dt)
        own = [send for send in over if send.user_id == user]
        came = [event for event in events if event.user_id == user]
        found = dict.fromkeys(("visited_date", "visited_24_hours", "hit", "opened", "opted_out"), 0)
        for send in own:
            delays = [event.event_time - send.send_at_utc for event in came if event.event_time >= send.send_at_utc]
            found["visited_date"] += any(f"{local(event).date()}" == send.dt for event in came)
            found["visited_24_hours"] += any(delay < timedelta(hours=24) for delay in delays)
            found["hit"] += any(delay < timedelta(hours=hours) for delay in delays)
            for status in ("opened", "opted_out"):
                found[status] += any(r.idempotency_key == send.key and r.status == status for r in reports)
        dates = (last - date.fromisoformat(max(first.dt, STARTS))).days + 1
        chance = first.visit_probability or 0.0
        third = 1 if chance <= of_first[0] else 2 if of_second and chance <= of_second[0] else 3
        counts.setdefault((first.arm, third), []).append((dates, sum(send.withheld is None for send in own)))
        of_arm = users.setdefault((first.arm, third), {})
        of_arm.setdefault("sent", []).append((dates, len(own), chance))
        for name, y in found.items():
            of_arm.setdefault(name, []).append((len(own), y, chance))
    return {
        (arm, third, outcome): (
            min(x for _, _, x in rows),
            max(x for _, _, x in rows),
            max(dates for dates, _ in counts[arm, third]),
            sum(pushes for _, pushes in counts[arm, third]),
            len(rows),
            sum(n for n, _, _ in rows),
            sum(y for _, y, _ in rows),
            sum(n * x for n, _, x in rows),
            sum(n * n for n, _, _ in rows),
            sum(y * y for _, y, _ in rows),
            sum(n * y for n, y, _ in rows),
            sum((n * x) ** 2 for n, _, x in rows),
            sum(n * n * x for n, _, x in rows),
            sum(n * y * x for n, y, x in rows),
        )
        for (arm, third), of_arm in users.items()
        for outcome, rows in of_arm.items()
    }


DATES = [f"{DAY - timedelta(days=back)}" for back in (-1, 0, 1, 2, 4, 5, 6, 9)]
USERS = st.sampled_from(["ann", "Bob", "Zoë"])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Event], list[Send], list[Report]]:
    """Visits around some instants, sends at or near them, and reports about some of the sends."""
    events = draw(histories((CLOCK_CHANGES[1], AS_OF - timedelta(days=2))))
    instants = [*(event.event_time for event in events), AS_OF - timedelta(hours=24)]
    sends = []
    for dt, user in draw(st.lists(st.tuples(st.sampled_from(DATES), USERS), min_size=1, max_size=8, unique=True)):
        step = draw(st.sampled_from([0, 1, -1, 7200, 7201, 86400, 86401, 108000]))
        at = draw(st.sampled_from(instants)) - timedelta(seconds=step)
        if draw(st.booleans()):  # on its date, as real sends are
            at = datetime.fromisoformat(dt).replace(tzinfo=UTC) + timedelta(hours=draw(st.integers(0, 23)))
        sends.append(
            Send(
                dt,
                draw(st.sampled_from(["spring", "spring", "spring", "autumn"])),
                draw(st.sampled_from([SALT, SALT, SALT, "other"])),
                user,
                draw(st.sampled_from(["best_hour", "no_push", "random_hour"])),
                at,
                draw(st.sampled_from([None, None, "no_push", "opted_out"])),
                draw(st.sampled_from([None, 0.25, 0.5, 1.0])),
            )
        )
    about = st.builds(
        Report,
        st.sampled_from([send.key for send in sends]),
        st.sampled_from(["sent", "delivered", "opened", "opted_out"]),
        st.sampled_from([f"{DAY - timedelta(days=back)}" for back in (0, 3)]),
    )
    return events, sends, draw(st.lists(about, max_size=5))


@given(case=cases())
@settings(max_examples=80, deadline=None)
def test_the_sums_are_those_of_loops_over_users_sends_and_visits(
    run: Run, hours: int, case: tuple[list[Event], list[Send], list[Report]]
) -> None:
    expected = judged(*case, hours)
    found = run(*case)
    assert found.keys() == expected.keys()
    for key, sums in expected.items():
        assert found[key] == pytest.approx(sums), key


def test_each_kind_of_visit_counts_as_what_it_is(run: Run, hours: int) -> None:
    """Sent at 17:00: seen in the morning, soon after, only the next day, never."""
    at = datetime(2026, 10, 30, 17, tzinfo=UTC)
    seen = {"morning": at - timedelta(hours=8), "soon": at + timedelta(minutes=5), "later": at + timedelta(hours=23)}
    sends = [Send("2026-10-30", "spring", SALT, user, "best_hour", at, None, 0.5) for user in (*seen, "never")]
    found = run([Event(user, when, 0, 1, "ios") for user, when in seen.items()], sends, [])
    counted = {outcome: sums[6] for (_, _, outcome), sums in found.items()}
    assert counted == {
        "sent": 4,
        "visited_date": 2,
        "visited_24_hours": 2,
        "hit": 1 if hours == 2 else 2,
        "opened": 0,
        "opted_out": 0,
    }


def test_nobody_changes_from_one_third_to_another(run: Run) -> None:
    """Who joins later is judged by the first date's users, and later probabilities do not count."""
    first, later = (datetime(2026, 10, day, 17, tzinfo=UTC) for day in (29, 30))
    chances = {"a": 0.125, "b": 0.25, "c": 0.5, "d": 0.75, "e": 0.875, "f": 1.0}
    sends = [Send("2026-10-29", "spring", SALT, user, "best_hour", first, None, p) for user, p in chances.items()]
    sends += [Send("2026-10-30", "spring", SALT, user, "best_hour", later, None, 1 - p) for user, p in chances.items()]
    sends += [Send("2026-10-30", "spring", SALT, f"new {p}", "best_hour", later, None, p) for p in (None, 0.3, 0.8)]
    found = run([Event("a", first, 0, 1, "ios")], sends, [])
    assert {third: sums[:2] for (_, third, outcome), sums in found.items() if outcome == "hit"} == {
        1: (0.0, 0.25),
        2: (pytest.approx(0.3), 0.75),
        3: (pytest.approx(0.8), 1.0),
    }
    assert {third: sums[4] for (_, third, outcome), sums in found.items() if outcome == "hit"} == {1: 3, 2: 3, 3: 3}
