"""With a table of one's own no query reads the stack's table of events, be it a workflow's or that of `make lift`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from demo.lift import lift_sql
from functions.prepare_forecast.plan import QUERIES, contradictions, plan_forecast, render_queries
from functions.prepare_run.plan import SOURCES
from functions.publish_sql.app import composed
from functions.shared.execution_input import load_schema, validated
from functions.shared.network import Network

ROOT = Path(__file__).resolve().parents[2]
OWN = "SELECT *, 'x' AS dt\nFROM \"lake\".\"pages\" WHERE regexp_like(user_id, '^\\d{2}$')"
RUN = plan_forecast(
    validated({}, load_schema("forecast"), contradictions),
    execution_id="arn:aws:states:eu-central-1:123456789012:execution:visitcast-forecast-dev:a",
    started_at="2026-11-23T16:00:00.123Z",
    bucket="a-bucket",
    network=Network(),
)


def queries(events: str) -> dict[str, str]:
    """Every query that anything asks, with a table of one's own or, without `events`, the stack's."""
    files = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "sql").glob("*.sql")}
    training = composed(files, f"(\n{events}\n)" if events else "events")
    asked = [*(name for name, _ in SOURCES.values()), "event_counts.sql"]
    lift = lift_sql("app", RUN["Lift"], date(2026, 11, 24), datetime(2026, 11, 24, tzinfo=UTC), events)
    forecast = {query["Name"]: query["Sql"] for query in render_queries(RUN, "app", ROOT / "sql", events)}
    return {"make lift": lift, **forecast, **{name: training[name] for name in asked}}


def tables(sql: str) -> set[tuple[str, str]]:
    """Database and name of every table that a query reads; what WITH defines is none."""
    inner = re.search(r"UNLOAD \((.*)\)\s*TO '", sql, re.DOTALL)
    parsed = sqlglot.parse_one(inner[1] if inner else sql, dialect="athena")
    sources = [source for scope in traverse_scope(parsed) for source in scope.sources.values()]
    return {(source.db, source.name) for source in sources if isinstance(source, exp.Table)}


STACKS, MAPPED = queries(""), queries(OWN)


@pytest.mark.parametrize("name", STACKS)
def test_a_query_reads_a_table_of_ones_own_in_place_of_the_stacks(name: str) -> None:
    of_stack, mapped = tables(STACKS[name]), tables(MAPPED[name])
    reads = any(table == "events" for _, table in of_stack)
    assert not any(table == "events" for _, table in mapped)
    assert (("lake", "pages") in mapped) == reads
    assert {table for table in mapped if table[1] != "pages"} == {table for table in of_stack if table[1] != "events"}
    assert (OWN in MAPPED[name]) == reads  # its regular expressions are whole


def test_the_queries_that_read_events_are_known() -> None:
    reading = {name for name, sql in STACKS.items() if any(table == "events" for _, table in tables(sql))}
    assert reading == {*STACKS} - {"known_users", "pushes"}
    assert {*QUERIES} <= {*STACKS}


def test_no_program_has_a_query_of_its_own_for_events() -> None:
    """A query in a program asks a function what to read: `FROM {events(stack)}`."""
    asks = re.compile(r"""\b(?:FROM|JOIN)\s+["\w{}.\[\]']*\bevents\b(?!\()""")
    files = [file for folder in ("functions", "demo", "console", "tools") for file in (ROOT / folder).rglob("*.py")]
    assert [file for file in files if asks.search(file.read_text(encoding="utf-8"))] == []
