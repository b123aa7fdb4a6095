"""The forecasts of a date: totals, one user's, and what that user's history holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, timedelta

from console.data.athena import literal, rows, together
from console.data.objects import events, partitions
from console.data.stack import Stack

HOURS = 24
HISTORY_DAYS = 371
"""Days before the date that the calendar shows: 53 weeks."""
RECENT_DAYS = 28
SHOWN_USERS = 12


@dataclass(frozen=True)
class Totals:
    """All forecasts of a date.

    Attributes
    ----------
    users : int
    by_source : dict of int
    coming : float
        Sum of the probabilities of coming.
    best_hours : list of int
        Users by the local hour that is best for them, [24].
    mean_visit_hour : list of float
        Mean chance of a visit in each hour, given that the user comes, [24].
    """

    users: int
    by_source: dict[str, int]
    coming: float
    best_hours: list[int]
    mean_visit_hour: list[float]


@dataclass(frozen=True)
class Forecast:
    """The forecast of one user on a date, a row of ``visit_forecasts``; `visit_probability` is None if unknown."""

    user: str
    first_visit_hour: list[float]
    visit_hour: list[float]
    best_hour: int
    confidence: float
    source: str
    platform: str
    utc_offset_minutes: int | None
    time_zone: str
    last_visit: str
    visit_probability: float | None


@dataclass(frozen=True)
class Send:
    """What a campaign has planned for a user, a row of ``send_plans``."""

    campaign: str
    arm: str
    at_local: str
    at_utc: str
    chance: float | None
    propensity: float
    withheld: str


@dataclass(frozen=True)
class History:
    """The days on which a user visited, in local time.

    Attributes
    ----------
    hours : dict
        By date the page views in each hour, {hour: views}.
    until : date
        The forecast date; only days before it are there.
    """

    until: date
    hours: dict[date, dict[int, int]] = field(default_factory=dict)

    def shares(self, days: list[date]) -> list[float] | None:
        """Return the share of some visit days with a visit in each hour, [24]; None without days."""
        if not days:
            return None
        return [sum(hour in self.hours[day] for day in days) / len(days) for hour in range(HOURS)]

    def recent(self) -> list[date]:
        """Return the visit days of the four weeks before the date."""
        return [day for day in self.hours if day >= self.until - timedelta(days=RECENT_DAYS)]

    def same_weekday(self) -> list[date]:
        """Return the visit days on the date's day of the week."""
        return [day for day in self.hours if day.weekday() == self.until.weekday()]


def dates(stack: Stack) -> list[str]:
    """List the dates that have forecasts, the latest first."""
    return [partition.values[0] for partition in partitions(stack, "visit_forecasts")]


def totals(stack: Stack, day: date) -> Totals:
    """Sum up the forecasts of a date."""
    groups_sql = (
        "SELECT source, best_hour, count(*) AS users, sum(coalesce(visit_probability, 0)) AS coming "
        f"FROM visit_forecasts WHERE dt = {literal(f'{day}')} GROUP BY source, best_hour"
    )
    means_sql = (
        "SELECT place, avg(chance) AS mean FROM visit_forecasts "
        f"CROSS JOIN UNNEST(visit_hour) WITH ORDINALITY AS hours (chance, place) WHERE dt = {literal(f'{day}')} "
        "GROUP BY place ORDER BY place"
    )
    groups, means = together(lambda: rows(stack, groups_sql), lambda: rows(stack, means_sql))
    by_source: dict[str, int] = {}
    best = [0] * HOURS
    for group in groups:
        by_source[group["source"]] = by_source.get(group["source"], 0) + int(group["users"])
        best[int(group["best_hour"])] += int(group["users"])
    return Totals(
        users=sum(by_source.values()),
        by_source=by_source,
        coming=sum(float(group["coming"]) for group in groups),
        best_hours=best,
        mean_visit_hour=[float(row["mean"]) for row in means],
    )


def find_users(stack: Stack, day: date, text: str) -> list[str]:
    """List users of a date whose id contains a text, those that begin with it first; without a text some users."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    wanted = f"AND user_id LIKE {literal(f'%{escaped}%')} ESCAPE '\\'" if text else ""
    begins = f"CASE WHEN user_id LIKE {literal(f'{escaped}%')} ESCAPE '\\' THEN 0 ELSE 1 END"
    found = rows(
        stack,
        f"SELECT user_id, {begins} AS place FROM visit_forecasts WHERE dt = {literal(f'{day}')} {wanted} "
        f"ORDER BY place, user_id LIMIT {SHOWN_USERS}",
    )
    return [row["user_id"] for row in found]


def forecast_of(stack: Stack, day: date, user: str) -> Forecast | None:
    """Read a user's forecast; return None if there is none on that date."""
    found = rows(
        stack,
        "SELECT first_visit_hour, visit_hour, best_hour, confidence, source, platform, utc_offset_minutes, time_zone, "
        "last_visit_date, visit_probability FROM visit_forecasts "
        f"WHERE dt = {literal(f'{day}')} AND user_id = {literal(user)} LIMIT 1",
    )
    if not found:
        return None
    row = found[0]
    return Forecast(
        user=user,
        first_visit_hour=json.loads(row["first_visit_hour"]),
        visit_hour=json.loads(row["visit_hour"]),
        best_hour=int(row["best_hour"]),
        confidence=float(row["confidence"]),
        source=row["source"],
        platform=row["platform"],
        utc_offset_minutes=int(row["utc_offset_minutes"]) if row["utc_offset_minutes"] else None,
        time_zone=row["time_zone"],
        last_visit=row["last_visit_date"],
        visit_probability=_number(row["visit_probability"]),
    )


def sends_of(stack: Stack, day: date, user: str) -> list[Send]:
    """Read what the campaigns have planned for a user on a date."""
    found = rows(
        stack,
        "SELECT campaign, arm, send_at_local, send_at_utc, chance, propensity, withheld FROM send_plans "
        f"WHERE dt = {literal(f'{day}')} AND user_id = {literal(user)} ORDER BY send_at_utc",
    )
    return [
        Send(
            row["campaign"],
            row["arm"],
            row["send_at_local"],
            row["send_at_utc"],
            _number(row["chance"]),
            float(row["propensity"]),
            row["withheld"],
        )
        for row in found
    ]


def history_of(stack: Stack, day: date, user: str) -> History:
    """Read a user's events of the 53 weeks before a date, by local day and hour."""
    first = day - timedelta(days=HISTORY_DAYS)
    found = rows(
        stack,
        "SELECT CAST(CAST(date_add('minute', utc_offset_minutes, event_time) AS date) AS varchar) AS visit_date, "
        "hour(date_add('minute', utc_offset_minutes, event_time)) AS visit_hour, count(*) AS views "
        f"FROM {events(stack)} WHERE user_id = {literal(user)} AND dt BETWEEN {literal(f'{first}')} "
        f"AND {literal(f'{day}')} GROUP BY 1, 2 ORDER BY 1, 2",
    )
    history = History(day)
    for row in found:
        visited = date.fromisoformat(row["visit_date"])
        if visited < day:
            history.hours.setdefault(visited, {})[int(row["visit_hour"])] = int(row["views"])
    return history


def _number(text: str) -> float | None:
    return float(text) if text else None
