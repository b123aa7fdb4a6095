"""sql/visits.sql against plain loops over the events, as the README and docs describe a visit day."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from event_loops import Event, at, histories, table_of, visits_of
from hypothesis import given, settings

from benchmarks.athena_sql import on_duckdb
from visitcast.data import schema

SQL = (Path(__file__).parents[2] / "sql" / "visits.sql").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run() -> Iterator[Any]:
    translated = on_duckdb(SQL)

    def rows(events: list[Event]) -> list[dict[str, Any]]:
        connection.register("events", table_of(events))
        return connection.sql(translated).to_arrow_table().to_pylist()

    with duckdb.connect(config={"threads": 1}) as connection:
        yield rows


@given(events=histories())
@settings(max_examples=150, deadline=None)
def test_visits_are_those_of_plain_loops(run: Any, events: list[Event]) -> None:
    found = run(events)
    assert found == visits_of(events)
    assert all(tuple(row) == schema.VISITS_COLUMNS for row in found)


def test_half_an_hour_is_the_longest_gap_within_a_session(run: Any) -> None:
    (day,) = run([at("2026-07-01T08:00:00"), at("2026-07-01T08:30:00"), at("2026-07-01T09:00:01")])
    assert day["total_time_spent_s"] == 1800


def test_a_session_over_midnight_counts_on_the_day_it_reaches(run: Any) -> None:
    days = run([at("2026-07-01T23:50:00"), at("2026-07-02T00:05:00")])
    assert [(day["visit_date"], day["total_time_spent_s"]) for day in days] == [("2026-07-01", 0), ("2026-07-02", 900)]


def test_the_hours_of_a_traveller_follow_the_instants(run: Any) -> None:
    """Ten in New York comes after eleven in London."""
    (day,) = run([at("2026-07-01T11:00:00", 60), at("2026-07-01T10:00:00", -240)])
    assert (day["first_visit_hour"], day["last_visit_hour"]) == (11, 10)
    assert day["utc_offset_minutes"] == -240


def test_page_types_and_the_last_platform(run: Any) -> None:
    (day,) = run(
        [
            at("2026-07-01T08:00:00", page_type=2, platform="ios"),
            at("2026-07-01T09:00:00", page_type=2, platform="ios"),
            at("2026-07-01T10:00:00", page_type=4, platform="web"),
        ]
    )
    assert [day[name] for name in schema.PAGE_VIEWS_BY_TYPE] == [0, 2, 0, 1]
    assert day["platform"] == "web"
