"""What a log of events holds, and whether a model can learn from it: the data report, before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from visitcast.data import schema
from visitcast.data.calendar import date_of
from visitcast.data.protocol import MINIMUM_HISTORY, cut_dates, require_enough
from visitcast.errors import InputError
from visitcast.events import rules
from visitcast.events.reading import Events
from visitcast.events.unreadable import printable
from visitcast.pages import render

_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_SHOWN: Final = 5
_BAR: Final = 40
_TEMPLATE: Final = "report.html.j2"
_LEFT_OUT: Final = {
    rules.STRANGERS: "with a user id that cannot be used",
    "ancient": f"before {rules.FIRST_YEAR}",
    "future": "in the future",
}


@dataclass(frozen=True)
class Verdict:
    """Outcome of one check: a headline, what shows it, and what helps."""

    level: Literal["good", "note", "warning", "refused"]
    headline: str
    cause: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """Facts and verdicts about a log.

    Attributes
    ----------
    source : str
        The file or folder.
    facts : dict of str to str
        For people, in order.
    hours : list of int [24]
        Events in each local hour.
    verdicts : list of Verdict
        The worst first.
    """

    source: str
    facts: dict[str, str]
    hours: list[int]
    verdicts: list[Verdict]

    @property
    def refused(self) -> Verdict | None:
        """The first verdict that forbids to train on the log."""
        return next((verdict for verdict in self.verdicts if verdict.level == "refused"), None)


def report_on(events: Events, path: Path, now: datetime | None = None, *, whole: bool = True) -> Report:
    """Look at events that were read.

    Parameters
    ----------
    events : Events
    path : Path
        Where they are from.
    now : datetime, optional
        What is long ago counts from here.
    whole : bool
        Whether they are all that there is to train on. Events that are added to others may be few: that is a note.
    """
    today = (now or datetime.now(UTC)).date()
    local = "(ms + minutes * 60000)"
    # Everything about users and days is asked of this table, which is much smaller than the events.
    events.connection.execute(
        f"CREATE OR REPLACE TABLE user_days AS SELECT user_id, {local} // {_DAY_MS} AS day, count(*) AS events "
        "FROM events GROUP BY ALL"
    )
    rows, first, last, last_ms, midnight, zeros, tiny = _all(
        events,
        f"SELECT count(*), min({local} // {_DAY_MS}), max({local} // {_DAY_MS}), max(ms), "
        f"count(*) FILTER (ms % {_DAY_MS} = 0 OR {local} % {_DAY_MS} = 0), count(*) FILTER (minutes = 0), "
        f"count(*) FILTER (minutes <> 0 AND abs(minutes) < {rules.SMALLEST_OFFSET_MINUTES}) FROM events",
    )[0]
    users, days, with_history = _all(
        events,
        f"SELECT count(*), sum(days)::BIGINT, count(*) FILTER (days >= {MINIMUM_HISTORY}) "
        "FROM (SELECT count(*) AS days FROM user_days GROUP BY user_id)",
    )[0]
    if rows == 0:
        raise InputError(f"{path} contains no events.", "Every row was left out.", "Check the unit of the times.")
    # Hashes of 64 bits need a fraction of the memory; two rows of a billion share one in 2% of the logs.
    distinct = _all(events, "SELECT count(DISTINCT hash(user_id, ms, minutes, page_type, platform)) FROM events")[0][0]
    duplicates = rows - distinct
    by_hour = dict(_all(events, f"SELECT {local} // {_HOUR_MS} % 24, count(*) FROM events GROUP BY ALL"))
    offsets = _all(
        events,
        "SELECT minutes, count(*) FROM (SELECT DISTINCT minutes, user_id FROM events) GROUP BY ALL ORDER BY 2 DESC, 1",
    )
    busy = _all(
        events,
        "SELECT user_id, (sum(events) / count(*))::BIGINT AS a_day FROM user_days "
        f"GROUP BY user_id HAVING a_day > {rules.MANY_EVENTS_A_DAY} ORDER BY a_day DESC, user_id",
    )
    eligible = _all(
        events,
        "SELECT day, count(*) FROM (SELECT user_id, day, "
        "row_number() OVER (PARTITION BY user_id ORDER BY day) AS number FROM user_days) "
        f"WHERE number > {MINIMUM_HISTORY} GROUP BY day ORDER BY day",
    )
    first_date, last_date = date_of(first), date_of(last)
    verdicts = [
        *_history(eligible, whole=whole),
        *_midnight(midnight, rows),
        *_night(by_hour, rows),
        *(Verdict("note", note) for note in events.notes),
        *_offsets(zeros, tiny, rows),
        *_duplicates(duplicates, rows),
        *_busy(busy),
    ]
    order = ("refused", "warning", "note", "good")
    if any(verdict.level == "refused" for verdict in verdicts):
        verdicts = [verdict for verdict in verdicts if verdict.level != "good"]
    facts = {
        "Rows": f"{events.rows:,}"
        + "".join(f", {count:,} {_LEFT_OUT[name]} left out" for name, count in events.left_out.items() if count),
        "Users": f"{users:,}",
        "Local dates": f"{first_date} to {last_date}, {last - first + 1:,} {'day' if first == last else 'days'}",
        "Visit days": f"{days:,} ({days / users:.1f} for each user)",
        "Duplicate rows": f"{duplicates:,} ({duplicates / rows:.1%})",
        "Offsets from UTC": ", ".join(f"{_offset(minutes)} {_users(count)}" for minutes, count in offsets[:_SHOWN])
        + (f" and {len(offsets) - _SHOWN} more" if len(offsets) > _SHOWN else ""),
        "Users with enough history": f"{with_history:,} ({with_history / users:.0%}) have {MINIMUM_HISTORY} visit days "
        "or more; others are forecast from everybody's hours",
        "Trained and judged on": f"{sum(count for _, count in eligible):,} visit days with "
        f"{MINIMUM_HISTORY} earlier ones of the same user",
        # As the daily schedule, which runs when the users' dates differ: of UTC.
        "A forecast is for": f"{date_of(last_ms // _DAY_MS) + timedelta(days=1)}"
        + (
            f": the log ended {(today - last_date).days:,} days ago"
            if last_date < today - timedelta(days=2)
            else ", the day after the last event"
        ),
    }
    return Report(
        f"{path}",
        facts,
        [int(by_hour.get(hour, 0)) for hour in range(schema.HOURS)],
        sorted(verdicts, key=lambda verdict: order.index(verdict.level)),
    )


def as_text(report: Report) -> str:
    """Write the report for a terminal."""
    width = max(map(len, report.facts))
    largest = max(report.hours) or 1
    total = sum(report.hours) or 1
    lines = [f"Events of {report.source}", ""]
    lines += [f"  {name:<{width}}  {value}" for name, value in report.facts.items()]
    lines += ["", "  Events in each local hour"]
    lines += [
        f"  {hour:02} {'█' * round(_BAR * count / largest):<{_BAR}} {count / total:6.1%}"
        for hour, count in enumerate(report.hours)
    ]
    lines.append("")
    for verdict in report.verdicts:
        lines.append(f"  {verdict.level.upper()}: {verdict.headline}")
        lines += [f"    {text}" for text in (verdict.cause, verdict.remedy) if text]
    return printable("\n".join(lines))


def as_page(report: Report) -> str:
    """Write the report as one HTML page that needs no network."""
    total = sum(report.hours) or 1
    return render(Path(__file__).parent, _TEMPLATE, report=report, shares=[count / total for count in report.hours])


def _history(eligible: list[tuple[Any, ...]], *, whole: bool) -> list[Verdict]:
    dates = np.array([day for day, _ in eligible], dtype=np.int64)
    counts = np.array([count for _, count in eligible], dtype=np.int64)
    try:
        cut = cut_dates(dates, counts)
        train = int(counts[dates < cut.validation_starts].sum())
        test = int(counts[dates >= cut.test_starts].sum())
        validation = int(counts.sum()) - train - test
        require_enough(train, validation, test)
    except InputError as error:
        if not whole:
            headline = "These events alone are too few to train on: others must be in the table."
            return [Verdict("note", headline, error.cause)]
        return [Verdict("refused", error.headline, error.cause, error.remedy)]
    return [
        Verdict(
            "good",
            "There is enough history to train and judge a model.",
            f"Visit days: {train:,} to train on, {validation:,} to validate, {test:,} to judge, "
            f"the last from {date_of(cut.test_starts)} on.",
        )
    ]


def _midnight(midnight: int, rows: int) -> list[Verdict]:
    share = midnight / rows
    if share < rules.MIDNIGHT_WARNED:
        return []
    refused = share >= rules.MIDNIGHT_REFUSED
    return [
        Verdict(
            "refused" if refused else "warning",
            "The times are dates: they are at midnight." if refused else "Many times are exactly at midnight.",
            f"Column {schema.EVENT_TIME}: {midnight:,} of {rows:,} rows ({share:.0%}) are at 00:00:00.",
            "Choose a column with times of day: --columns event_time=...",
        )
    ]


def _night(by_hour: Mapping[int, int], rows: int) -> list[Verdict]:
    night = sum(by_hour.get(hour, 0) for hour in rules.NIGHT)
    if night <= rules.NIGHT_WARNED * rows:
        return []
    busiest = max(by_hour, key=lambda hour: by_hour[hour])
    return [
        Verdict(
            "warning",
            "The users seem to be awake at night: is the time zone right?",
            f"{night:,} of {rows:,} rows ({night / rows:.0%}) are from {rules.NIGHT[0]:02}:00 to "
            f"{rules.NIGHT[-1]:02}:59 local time; the busiest hour is {busiest:02}:00.",
            "Check the zone or the offsets: --time-zone, --columns utc_offset_minutes=... or time_zone=...; "
            "--local-times if the times show the users' own clocks.",
        )
    ]


def _offsets(zeros: int, tiny: int, rows: int) -> list[Verdict]:
    if tiny and zeros + tiny == rows:
        return [
            Verdict(
                "refused",
                "The offsets are hours, not minutes.",
                f"Column {schema.UTC_OFFSET_MINUTES}: {tiny:,} of {rows:,} rows have less than a quarter of an hour, "
                "and no row has more.",
                "Name the unit: --offset-unit hours.",
            )
        ]
    if zeros < rows:
        return []
    return [
        Verdict(
            "warning",
            "Every offset is 0, so hours are those of UTC.",
            f"Column {schema.UTC_OFFSET_MINUTES}: all {rows:,} rows.",
            "If the users live elsewhere: --columns utc_offset_minutes= --time-zone Europe/Berlin.",
        )
    ]


def _duplicates(duplicates: int, rows: int) -> list[Verdict]:
    if duplicates <= rules.DUPLICATES_WARNED * rows:
        return []
    return [
        Verdict(
            "warning",
            "Rows are repeated.",
            f"{duplicates:,} of {rows:,} rows equal another one in every column; they count as page views.",
            "Remove them if the export wrote them twice.",
        )
    ]


def _busy(busy: list[tuple[Any, ...]]) -> list[Verdict]:
    if not busy:
        return []
    shown = "; ".join(f"{user!r}: {count:,} a day" for user, count in busy[:_SHOWN])
    return [
        Verdict(
            "warning",
            f"{_users(len(busy))} with more than {rules.MANY_EVENTS_A_DAY:,} events on an average active day.",
            f"Column {schema.USER_ID}: {shown}.",
            "Remove them if they are programs or shared ids.",
        )
    ]


def _all(events: Events, query: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = events.connection.execute(query).fetchall()
    return found


def _users(count: int) -> str:
    return f"{count:,} user{'' if count == 1 else 's'}"


def _offset(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
