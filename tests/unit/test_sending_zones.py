"""Zones from the offsets of visits: against a plain loop, for users who stayed, and for travellers by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import made_frame
from sending_folder import answer_to, run_plan, sending_folder, write_audience, write_histories

from visitcast.__main__ import main
from visitcast.data import schema
from visitcast.data.calendar import days_since_epoch
from visitcast.data.dataset import Dataset, last_rows, of_columns
from visitcast.sending.send_times import all_zones, local_hours
from visitcast.sending.zones import FEWEST_OTHERS, RECORD_DAYS, SHARE, infer, names

AFTER_CHANGES = [
    date(2026, 10, 26),  # Europe the day before
    date(2026, 10, 25),  # Europe on this date
    date(2026, 11, 2),  # the United States the day before
    date(2026, 4, 6),  # Australia the day before
    date(2022, 10, 31),  # Mexico for the last time
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Day(NamedTuple):
    """A visit day: its date, the hour of its last event, and the offset then."""

    visit_date: date
    last_visit_hour: int
    utc_offset_minutes: int


def visited(instant: datetime, zone: str) -> Day:
    """The visit day of somebody who is in a zone."""
    local = instant.astimezone(ZoneInfo(zone))
    return Day(local.date(), local.hour, round((local.utcoffset() or timedelta()).total_seconds() / 60))


def users_of(records: Sequence[Iterable[Day]]) -> Dataset:
    """One user for each record; of one date the last visit counts."""
    days = [list({day.visit_date: day for day in record}.values()) for record in records]
    rows = [day for record in days for day in record]
    columns: dict[str, Any] = {column.name: np.ones(len(rows)) for column in schema.DAY_COLUMNS}
    columns[schema.VISIT_DATE] = np.array([days_since_epoch(day.visit_date) for day in rows])
    columns[schema.LAST_VISIT_HOUR] = np.array([day.last_visit_hour for day in rows])
    columns[schema.UTC_OFFSET_MINUTES] = np.array([day.utc_offset_minutes for day in rows])
    ids = np.array([f"user-{number:05d}" for number in range(len(records))])
    return of_columns(ids, np.cumsum([0, *map(len, days)]), columns)


def clock(zone: str, day: date) -> tuple[Any, ...]:
    """What a zone's clock shows at each hour of a date."""
    hours = local_hours(days_since_epoch(day), np.zeros(1, dtype=np.int16), np.array([zone], dtype=object))
    return (*hours.utc[0].tolist(), *hours.local[0].tolist())


def inferred(records: Sequence[Iterable[Day]], day: date) -> list[str | None]:
    """The names of the users' zones."""
    date_ = days_since_epoch(day)
    found: list[str | None] = names([infer(users_of(records), date_)], date_).tolist()
    return found


# --- the plain version -----------------------------------------------------------------------------------------------


def offset_at(zone: str, minute: int) -> int:
    offset = (EPOCH + timedelta(minutes=minute)).astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    return round(offset.total_seconds() / 60)


def explained(zone: str, day: Day) -> bool:
    """Whether a zone had the offset at the start or at the end of the hour of the visit."""
    minute = days_since_epoch(day.visit_date) * 1440 + day.last_visit_hour * 60 - day.utc_offset_minutes
    return day.utc_offset_minutes in {offset_at(zone, minute), offset_at(zone, minute + 59)}


def plainly_inferred(record: Iterable[Day], day: date) -> tuple[Any, ...] | None:
    """The clock of the zones that explain most of the days, zone by zone."""
    days = list({one.visit_date: one for one in record}.values())
    recent = [one for one in days if (day - one.visit_date).days <= RECORD_DAYS]
    if not recent or recent[-1] != days[-1]:
        return None
    counts = {zone: sum(explained(zone, one) for one in recent) for zone in all_zones() if explained(zone, recent[-1])}
    most = max(counts.values(), default=0)
    clocks = {clock(zone, day) for zone, count in counts.items() if count == most}
    return clocks.pop() if len(clocks) == 1 and most >= SHARE * len(recent) else None


@st.composite
def records(draw: st.DrawFn, zones: int = 1) -> tuple[date, str, list[Day]]:
    """A date, a zone, and visits before the date from there and perhaps from other zones."""
    day = draw(st.sampled_from(AFTER_CHANGES))
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    places = draw(st.lists(st.sampled_from(sorted(all_zones())), min_size=zones, max_size=zones))
    back = draw(st.lists(st.integers(0, 450 * 24 * 60), min_size=1, max_size=7, unique=True))
    stays = draw(st.lists(st.sampled_from(places), min_size=len(back), max_size=len(back)))
    visits = sorted(zip((end - timedelta(minutes=minutes) for minutes in back), stays, strict=True))
    record = [visited(instant, zone) for instant, zone in visits]
    return day, places[0], sorted(record, key=lambda one: one.visit_date)


@given(records())
@settings(max_examples=150, deadline=None)
def test_who_stayed_gets_the_right_clock_or_none(drawn: tuple[date, str, list[Day]]) -> None:
    day, home, record = drawn
    (found,) = inferred([record], day)
    assert found is None or clock(found, day) == clock(home, day)


@given(records(zones=2))
@settings(max_examples=40, deadline=None)
def test_it_is_what_a_loop_over_all_zones_finds(drawn: tuple[date, str, list[Day]]) -> None:
    day, _, record = drawn
    (found,) = inferred([record], day)
    assert (found and clock(found, day)) == plainly_inferred(record, day)


# --- by name ---------------------------------------------------------------------------------------------------------

DAY = AFTER_CHANGES[0]


def stay(zone: str, first: date, last: date, step: int = 7) -> list[Day]:
    """Visits at 17:30 UTC every few days."""
    start = datetime(first.year, first.month, first.day, 17, 30, tzinfo=UTC)
    return [visited(start + timedelta(days=days), zone) for days in range(0, (last - first).days + 1, step)]


YEAR = date(2025, 11, 1), date(2026, 10, 20)


@pytest.mark.parametrize(
    ("record", "same_as"),
    [
        pytest.param(stay("Europe/Berlin", *YEAR), "Europe/Paris", id="a year in Berlin"),
        pytest.param(stay("Africa/Lagos", *YEAR), "Africa/Lagos", id="a year in Lagos"),
        pytest.param(stay("UTC", *YEAR), "UTC", id="a machine on UTC"),
        pytest.param(stay("Europe/London", *YEAR), "Europe/London", id="a year in London"),
        pytest.param(stay("Asia/Kathmandu", date(2026, 10, 1), date(2026, 10, 20)), "Asia/Kathmandu", id="5:45"),
        pytest.param(stay("Europe/Berlin", date(2026, 5, 1), date(2026, 10, 20)), None, id="only summer: or Maputo"),
        pytest.param(
            [
                *stay("Europe/Berlin", date(2025, 11, 1), date(2026, 8, 1)),
                *stay("America/New_York", date(2026, 8, 5), date(2026, 8, 25)),
                *stay("Europe/Berlin", date(2026, 9, 1), date(2026, 10, 20)),
            ],
            "Europe/Berlin",
            id="back from New York",
        ),
        pytest.param(
            [
                *stay("Europe/Berlin", date(2025, 11, 1), date(2026, 10, 1)),
                *stay("America/New_York", date(2026, 10, 5), date(2026, 10, 20)),
            ],
            None,
            id="in New York now",
        ),
        pytest.param(
            [
                *stay("Europe/Berlin", date(2025, 11, 1), date(2026, 4, 1)),
                *stay("America/New_York", date(2026, 4, 8), date(2026, 10, 20)),
            ],
            None,
            id="moved in spring",
        ),
        pytest.param(stay("Europe/Berlin", date(2024, 1, 1), date(2025, 8, 1)), None, id="away for more than a year"),
    ],
)
def test_records(record: list[Day], same_as: str | None) -> None:
    (found,) = inferred([record], DAY)
    assert (found and clock(found, DAY)) == (same_as and clock(same_as, DAY))


def test_others_with_the_same_offset_decide_if_nearly_all_agree() -> None:
    newcomer = stay("Europe/Berlin", date(2026, 10, 1), date(2026, 10, 20))
    home = stay("Europe/Berlin", *YEAR)
    elsewhere = stay("Africa/Maputo", *YEAR)
    assert inferred([newcomer] + [home] * (FEWEST_OTHERS - 1), DAY)[0] is None
    found = inferred([newcomer] + [home] * FEWEST_OTHERS, DAY)[0]
    assert found is not None
    assert clock(found, DAY) == clock("Europe/Berlin", DAY)
    assert inferred([newcomer] + [home] * FEWEST_OTHERS + [elsewhere] * 2, DAY)[0] is None
    # Users in New York say nothing of those in Berlin.
    assert inferred([newcomer] + [stay("America/New_York", *YEAR)] * FEWEST_OTHERS, DAY)[0] is None


def test_others_are_those_of_all_blocks() -> None:
    date_ = days_since_epoch(DAY)
    newcomer = stay("Europe/Berlin", date(2026, 10, 1), date(2026, 10, 20))
    blocks = [infer(users_of(block), date_) for block in ([newcomer], [stay("Europe/Berlin", *YEAR)] * FEWEST_OTHERS)]
    assert None not in names(blocks, date_).tolist()


# --- through the jobs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", [date(2026, 10, 24), date(2026, 10, 25), date(2026, 10, 26), date(2026, 3, 30)])
def test_quiet_hours_hold_on_both_sides_of_a_clock_change(tmp_path: Any, monkeypatch: Any, day: date) -> None:
    """Users of one country by their events alone, of whom a third is new."""
    berlin = ZoneInfo("Europe/Berlin")
    folder = sending_folder(tmp_path, monkeypatch)
    monkeypatch.setenv("VISITCAST_FORECAST_DATE", day.isoformat())
    monkeypatch.setenv("VISITCAST_AS_OF", f"{day - timedelta(days=1)}T04:00:00Z")
    frame = made_frame(users=60, mean_days=200.0)
    moved = np.datetime64(day) - np.datetime64("2026-11-24") - np.timedelta64(10, "D")
    when = frame[schema.VISIT_DATE].astype("datetime64[s]") + moved
    frame[schema.VISIT_DATE] = when.dt.strftime("%Y-%m-%d")
    local = when + frame[schema.LAST_VISIT_HOUR].astype("timedelta64[h]")
    offsets = local.dt.tz_localize(berlin, ambiguous=True, nonexistent="shift_forward").map(lambda at: at.utcoffset())
    frame[schema.UTC_OFFSET_MINUTES] = (offsets.dt.total_seconds() / 60).astype(int)
    newcomers = frame[schema.USER_ID] < "user-0020"
    frame = frame[~newcomers | (frame.groupby(schema.USER_ID).cumcount(ascending=False) < 3)]
    write_histories(folder / "input", frame)
    write_audience(folder / "input", {"user_id": []})
    main(["requests"])
    lines = [line for file in (folder / "output/requests").iterdir() for line in file.read_text().splitlines()]
    (folder / "output/users/users.parquet").rename(folder / "input/users/users.parquet")
    report, _, plans, _ = run_plan(folder, lines)
    assert report["local_time"] == {"time zone given": 0, "time zone inferred": 60, "offset of the last visit": 0}
    walls = plans[schema.SEND_AT_UTC].dt.tz_localize("UTC").dt.tz_convert(berlin).dt.tz_localize(None)
    assert len(walls) > 30
    assert (walls == plans[schema.SEND_AT_LOCAL]).all()
    assert (walls.dt.strftime("%Y-%m-%d") == day.isoformat()).all()
    assert walls.dt.hour.between(7, 21).all()
    assert answer_to(lines[0])["date"] == day.isoformat()


def test_a_forecast_reads_the_last_visit_days_only() -> None:
    lengths = [0, 1, 3, 5]
    dataset = users_of([[Day(date(2026, 1, 1) + timedelta(days=n), 12, 60) for n in range(days)] for days in lengths])
    kept = last_rows(dataset, 3)
    assert np.diff(kept.offsets).tolist() == [0, 1, 3, 3]
    assert kept.visit_date.tolist() == [dataset.visit_date[0], *dataset.visit_date[1:4], *dataset.visit_date[6:]]
    assert last_rows(dataset, 5) is dataset
