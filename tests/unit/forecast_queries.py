"""Run the queries of the forecast workflow on made-up tables."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest
from event_loops import Event, table_of
from hypothesis import strategies as st

from benchmarks.athena_sql import on_duckdb
from functions.prepare_forecast import plan
from functions.shared.execution_input import load_schema, validated
from functions.shared.network import Network

SQL = Path(__file__).parents[2] / "sql"
DAY = date(2026, 11, 3)
"""The forecast date, two days after New York's clocks went back."""
AS_OF = datetime(2026, 11, 2, 16, tzinfo=UTC)
CLOSED = date(2026, 11, 1)
"""The last date that is over west of all zones at `AS_OF`."""
VISIT_DAYS = 2
HOURS = 2
STANDING = "'run-1', 'run-2'"
"""What the workflow fills in of the list of plans that stand."""
Rows = list[dict[str, Any]]
Run = Callable[..., Rows]


class Known(NamedTuple):
    """A row of visit_forecasts."""

    dt: str
    user_id: str
    first_visit_hour: list[float]
    visit_hour: list[float]
    best_hour: int
    source: str
    platform: str
    utc_offset_minutes: int
    time_zone: str | None
    last_visit_date: date
    visit_probability: float | None


class Send(NamedTuple):
    """A row of send_plans."""

    dt: str
    user_id: str
    arm: str
    send_hour: int
    send_at_utc: datetime
    chance: float | None
    visit_probability: float | None


class Planned(NamedTuple):
    """A row of plans_by_run."""

    run: str
    user_id: str
    send_at_utc: datetime
    send_at_local: datetime


class Report(NamedTuple):
    """A row of push_reports."""

    status: str
    user_id: str


class HandedOver(NamedTuple):
    """A row of sends."""

    dt: str
    campaign: str
    user_id: str
    send_hour: int
    send_at_utc: datetime
    chance: float | None
    visit_probability: float | None
    withheld: str | None = None
    propensity: float = 0.5
    possible_hours: int = 2**24 - 1
    idempotency_key: str = "0" * 32


HANDED_OVER = pa.schema(
    [
        ("dt", pa.string()),
        ("campaign", pa.string()),
        ("user_id", pa.string()),
        ("send_hour", pa.int8()),
        ("send_at_utc", pa.timestamp("ms")),
        ("chance", pa.float32()),
        ("visit_probability", pa.float32()),
        ("withheld", pa.string()),
        ("propensity", pa.float64()),
        ("possible_hours", pa.int32()),
        ("idempotency_key", pa.string()),
    ]
)
PLANNED = pa.schema(
    [
        ("run", pa.string()),
        ("user_id", pa.string()),
        ("send_at_utc", pa.timestamp("ms")),
        ("send_at_local", pa.timestamp("ms")),
    ]
)
REPORTS = pa.schema([("status", pa.string()), ("user_id", pa.string())])
FORECASTS = pa.schema(
    [
        ("dt", pa.string()),
        ("user_id", pa.string()),
        ("first_visit_hour", pa.list_(pa.float32())),
        ("visit_hour", pa.list_(pa.float32())),
        ("best_hour", pa.int8()),
        ("source", pa.string()),
        ("platform", pa.string()),
        ("utc_offset_minutes", pa.int16()),
        ("time_zone", pa.string()),
        ("last_visit_date", pa.date32()),
        ("visit_probability", pa.float32()),
    ]
)
SENDS = pa.schema(
    [
        ("dt", pa.string()),
        ("user_id", pa.string()),
        ("arm", pa.string()),
        ("send_hour", pa.int8()),
        ("send_at_utc", pa.timestamp("ms")),
        ("chance", pa.float32()),
        ("visit_probability", pa.float32()),
    ]
)


def rendered(day: date, as_of: datetime, *names: str) -> dict[str, str]:
    """Queries of a run, translated."""
    given = validated(
        {
            "ForecastDate": f"{day}",
            "AsOf": f"{as_of:%Y-%m-%dT%H:%M:%SZ}",
            "Lift": {"ResponseHours": HOURS, "WindowDays": 5},
            "Campaign": {"MinimumGapHours": 5 * 24},
        },
        load_schema("forecast"),
        plan.contradictions,
    )
    run = plan.plan_forecast(
        given,
        execution_id="arn:aws:states:eu-central-1:123456789012:execution:a:b",
        started_at="2026-11-02T16:00:00Z",
        bucket="bucket",
        network=Network(),
    )
    return {
        query["Name"]: on_duckdb(query["Sql"].replace("{}", STANDING))
        for query in plan.render_queries(run, "app", SQL)
        if query["Name"] in names
    }


@contextmanager
def queries_of_a_run() -> Iterator[Run]:
    """Yield a function that runs one of the queries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "HISTORY_VISIT_DAYS", VISIT_DAYS)
        texts = {
            "schedule": rendered(DAY, AS_OF, *plan.QUERIES),
            "a past date": rendered(date(2026, 11, 2), datetime(2026, 11, 5, tzinfo=UTC), plan.HISTORIES),
        }

    def rows(
        query: str,
        events: list[Event],
        forecasts: Sequence[Known] = (),
        sends: Sequence[Send] = (),
        kind: str = "schedule",
        planned: Sequence[Planned] = (),
        reports: Sequence[Report] = (),
        handed_over: Sequence[HandedOver] = (),
    ) -> Rows:
        listed = table_of(events).append_column("dt", [[f"{event.event_time:%Y-%m-%d}" for event in events]])
        tables = {
            "events": listed,
            "visit_forecasts": pa.Table.from_pylist([row._asdict() for row in forecasts], FORECASTS),
            "send_plans": pa.Table.from_pylist(
                [{**row._asdict(), "send_at_utc": row.send_at_utc.replace(tzinfo=None)} for row in sends], SENDS
            ),
            "sends": pa.Table.from_pylist(
                [{**row._asdict(), "send_at_utc": row.send_at_utc.replace(tzinfo=None)} for row in handed_over],
                HANDED_OVER,
            ),
            "plans_by_run": pa.Table.from_pylist([row._asdict() for row in planned], PLANNED),
            "push_reports": pa.Table.from_pylist([row._asdict() for row in reports], REPORTS),
        }
        for name, content in tables.items():
            connection.register("given", content)
            connection.execute(f"CREATE OR REPLACE TABLE app.{name} AS SELECT * FROM given")
        return connection.sql(texts[kind][query]).to_arrow_table().to_pylist()

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.create_function("crc32", lambda data: zlib.crc32(data), ["BLOB"], "BIGINT")
        connection.execute("CREATE SCHEMA app")
        yield rows


USERS = st.sampled_from(["ann", "Bob", "Zoë"])


@st.composite
def pairs_of(draw: st.DrawFn, dates: list[str], smallest: int = 2) -> list[tuple[str, str]]:
    """Different pairs of a date and a user."""
    return draw(st.lists(st.tuples(st.sampled_from(dates), USERS), min_size=smallest, max_size=8, unique=True))


@st.composite
def forecasts_of(draw: st.DrawFn, pairs: list[tuple[str, str]]) -> list[Known]:
    """A forecast for each pair."""
    rows = []
    for dt, user in pairs:
        # Another probability for each hour, and none for one of them.
        turn = draw(st.integers(0, 23))
        rows.append(
            Known(
                dt,
                user,
                [(hour + turn) % 24 / 276 for hour in range(24)],
                [(hour + turn) % 24 / 32 for hour in range(24)],
                draw(st.integers(0, 23)),
                draw(st.sampled_from(["model", "model", "prior"])),
                draw(st.sampled_from(["ios", "web"])),
                draw(st.sampled_from([-300, 0, 345])),
                draw(st.sampled_from([None, "Asia/Kathmandu"])),
                DAY - timedelta(days=draw(st.integers(1, 90))),
                draw(st.sampled_from([None, 0.0, 0.015625, 0.25, 0.5, 1.0])),
            )
        )
    return rows


@st.composite
def sends_of(
    draw: st.DrawFn, pairs: list[tuple[str, str]], instants: list[datetime], hours: Sequence[int] = range(24)
) -> list[Send]:
    """A send for each pair, at or near some instants."""
    rows = []
    near = [timedelta(0), timedelta(seconds=1), timedelta(hours=HOURS), timedelta(hours=HOURS, seconds=1)]
    for dt, user in pairs:
        at = draw(st.sampled_from(instants)) - draw(st.sampled_from([*near, -timedelta(seconds=1)]))
        p = draw(st.sampled_from([None, 0.25, 0.5, 1.0]))
        chance = None if p is None else p * draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
        arm = draw(st.sampled_from(["best_hour", "global_best_hour", "random_hour"]))
        rows.append(Send(dt, user, arm, draw(st.sampled_from(hours)), at.replace(microsecond=0), chance, p))
    return rows
