"""How often the offset of a forecast date is right after a clock change, by the last visit and by the inferred zone.

Truth is the offset of the first visit after a change of the clocks in Europe or the United States, within a week. The
simulated users show how it depends on travel; their truth is the offset of the place where they are on the date.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from benchmarks.pipeline import Figure
from benchmarks.quality import visit_days
from visitcast.data import schema
from visitcast.data.calendar import date_of, days_since_epoch
from visitcast.data.dataset import Dataset, of_columns, rows_before, select_users
from visitcast.sending.send_times import local_hours
from visitcast.sending.zones import infer, names

HOMES: Final = {
    "Europe/Berlin": 0.2,
    "Europe/London": 0.1,
    "America/New_York": 0.15,
    "America/Chicago": 0.1,
    "America/Los_Angeles": 0.1,
    "America/Phoenix": 0.02,
    "America/Sao_Paulo": 0.08,
    "Africa/Lagos": 0.05,
    "Africa/Cairo": 0.03,
    "Asia/Kolkata": 0.1,
    "Asia/Tokyo": 0.05,
    "Australia/Sydney": 0.02,
}
TRAVEL: Final = {
    "who stayed": 0.0,
    "with two weeks abroad a year": 14 / 365,
    "with six weeks abroad a year": 42 / 365,
    "abroad for a third of the year": 1 / 3,
}
"""Share of the days on trips of a week each."""
MOVED: Final = "who moved within the year"
NEW: Final = "who stayed, a third new within two months"
VISITS_A_DAY: Final = 0.3
YEARS: Final = 5
"""Of the file, the last ones."""
DATES_AFTER: Final = 6
DAYS: Final = 400
"""Of the simulated records, the date itself included."""


def measure(events: Path | None, quick: bool = False) -> list[Figure]:
    """Count right offsets of simulated users and, if given, of the users of a file."""
    figures: list[Figure] = []
    changes = [after_change for year in (2025, 2026) for after_change in changes_of(year)][:: 8 if quick else 1]
    for kind in (*TRAVEL, MOVED, NEW):
        figures += shares(f"users {kind}", [simulated(kind, day, 20 if quick else 200) for day in changes])
    if events is not None:
        dataset = visit_days(events)
        last = date_of(int(dataset.visit_date.max())).year
        days = [day for year in range(last - YEARS, last + 1) for day in changes_of(year)]
        figures += shares(events.name, [after(dataset, day) for day in days])
    return figures


def changes_of(year: int) -> list[date]:
    """Return the days after the clock changes of the United States and of Europe."""
    sundays = [day for n in range(365) if (day := date(year, 1, 1) + timedelta(days=n)).weekday() == 6]
    of_month = {month: [day for day in sundays if day.month == month] for month in (3, 10, 11)}
    changes = (of_month[3][1], of_month[3][-1], of_month[10][-1], of_month[11][0])
    return [day + timedelta(days=1) for day in changes]


Sample = tuple[Dataset, int, NDArray[np.int64]]
"""Visit days before a date, the date, and the users' offsets on it."""


def shares(subject: str, samples: list[Sample]) -> Iterator[Figure]:
    """Yield the shares of right offsets, over all dates and users."""
    last, by_zone, known, own, truth = [], [], [], [], []
    for histories, day, offsets in samples:
        if histories.users == 0:
            continue
        found = infer(histories, day)
        zones = names([found], day)
        of_last = histories.utc_offset_minutes[histories.offsets[1:] - 1]
        hours = local_hours(day, of_last, None, zones)
        utc, local = hours.at(np.full(histories.users, 12))
        last.append(of_last)
        by_zone.append(local - utc)
        known.append(zones != None)  # noqa: E711 - of each
        own.append(found.zone >= 0)
        truth.append(offsets)
    right_last, right = (np.concatenate(of) == np.concatenate(truth) for of in (last, by_zone))
    inferred, by_own = np.concatenate(known), np.concatenate(own)
    yield Figure(subject, "users and dates", len(right), "")
    yield Figure(subject, "right by the last visit", float(right_last.mean()), "")
    yield Figure(subject, "right by the inferred zone, else the last visit", float(right.mean()), "")
    for name, rows in {
        "zone inferred": inferred,
        "zone inferred from own visits": by_own,
        "zone inferred from others": inferred & ~by_own,
    }.items():
        yield Figure(subject, name, float(rows.mean()), "")
        if rows.any():
            yield Figure(subject, f"{name}: right", float(right[rows].mean()), "")
            yield Figure(subject, f"{name}: right by the last visit", float(right_last[rows].mean()), "")


def after(dataset: Dataset, day: date) -> Sample:
    """Return users of a dataset who came in the two months before a date and in the days from it on."""
    date_ = days_since_epoch(day)
    row = rows_before(dataset, np.arange(dataset.users), np.full(dataset.users, date_))
    users = np.flatnonzero((row > dataset.offsets[:-1]) & (row < dataset.offsets[1:]))
    row = row[users]
    chosen = (dataset.visit_date[row] < date_ + DATES_AFTER) & (dataset.visit_date[row - 1] >= date_ - 60)
    users, row = users[chosen], row[chosen]
    histories = select_users(dataset, users)
    kept = histories.visit_date < date_
    ends = np.concatenate([[0], np.cumsum(kept)])
    columns = {name: values[kept] for name, values in histories.columns.items()}
    truth = dataset.utc_offset_minutes[row].astype(np.int64)
    return Dataset(histories.user_ids, ends[histories.offsets], columns), date_, truth


def simulated(kind: str, day: date, users: int) -> Sample:
    """Return users who come on random days, travel or move, and where they are on the date."""
    rng = np.random.default_rng([day.toordinal(), *kind.encode()])
    records, truth = [], []
    for home in rng.choice(np.array([*HOMES]), users, p=[*HOMES.values()]):
        places = [home] * DAYS
        if kind == MOVED:
            moved = rng.integers(DAYS - 365, DAYS)
            places[moved:] = [rng.choice(np.array([*HOMES]))] * (DAYS - moved)
        for week in range(0, DAYS, 7):
            if rng.random() < TRAVEL.get(kind, 0.0):
                places[week : week + 7] = [rng.choice(np.array([*HOMES]))] * len(places[week : week + 7])
        # Up to the day before the eve, wherever that is.
        came = np.flatnonzero(rng.random(DAYS - 2) < VISITS_A_DAY)
        came = came[came >= DAYS - 60] if kind == NEW and rng.random() < 1 / 3 else came
        back = DAYS - 1 - (came if len(came) else np.array([DAYS - 3]))
        instants = [datetime.combine(day - timedelta(days=int(n)), time(int(rng.integers(24))), UTC) for n in back]
        records.append([_visit(at, str(places[DAYS - 1 - n])) for at, n in zip(instants, back, strict=True)])
        truth.append(_visit(datetime.combine(day, time(12), UTC), str(places[-1]))[2])
    return _dataset(records), days_since_epoch(day), np.array(truth)


def _visit(instant: datetime, zone: str) -> tuple[int, int, int]:
    """Return date, hour and offset in minutes of somebody's clock."""
    local = instant.astimezone(ZoneInfo(zone))
    return days_since_epoch(local.date()), local.hour, round((local.utcoffset() or timedelta()).total_seconds() / 60)


def _dataset(records: list[list[tuple[int, int, int]]]) -> Dataset:
    rows = np.array([row for record in records for row in record])
    columns = {column.name: np.zeros(len(rows)) for column in schema.DAY_COLUMNS}
    columns |= dict(zip((schema.VISIT_DATE, schema.LAST_VISIT_HOUR, schema.UTC_OFFSET_MINUTES), rows.T, strict=True))
    ids = np.array([f"user-{number:05d}" for number in range(len(records))])
    return of_columns(ids, np.cumsum([0, *map(len, records)]), columns)
