"""Events and the visit days that they make, in plain Python loops: the judge of the project's SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import strategies as st

SESSION_GAP_S = 30 * 60
NEW_YORK = ZoneInfo("America/New_York")
CLOCK_CHANGES = (datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC))
"""New York goes from UTC-5 to UTC-4 and back."""


class Event(NamedTuple):
    user_id: str
    event_time: datetime
    utc_offset_minutes: int
    page_type: int
    platform: str


def visits_of(events: list[Event]) -> list[dict[str, Any]]:
    """One row per user and local day, sorted by user and date."""
    rows = []
    for user in sorted({event.user_id for event in events}):
        days: dict[str, list[Event]] = defaultdict(list)
        seconds: dict[str, int] = defaultdict(int)
        previous: Event | None = None
        for event in sorted((one for one in events if one.user_id == user), key=lambda one: (one[1], one[2])):
            day = local(event).date().isoformat()
            days[day].append(event)
            if previous is not None:
                gap = (event.event_time - previous.event_time) // timedelta(seconds=1)
                if gap <= SESSION_GAP_S:
                    seconds[day] += gap
            previous = event
        for day in sorted(days):
            of_day = days[day]
            last = [event for event in of_day if event.event_time == of_day[-1].event_time]
            mask = 0
            for event in of_day:
                mask |= 1 << local(event).hour
            rows.append(
                {
                    "user_id": user,
                    "visit_date": day,
                    "total_time_spent_s": seconds[day],
                    "total_page_views": len(of_day),
                    **{
                        f"page_views_type_{kind}": sum(one.page_type == kind for one in of_day) for kind in (1, 2, 3, 4)
                    },
                    "first_visit_hour": local(of_day[0]).hour,
                    "last_visit_hour": local(last[0]).hour,
                    "hourly_visits": mask,
                    "platform": min(event.platform for event in last),
                    "utc_offset_minutes": last[0].utc_offset_minutes,
                }
            )
    return rows


def local(event: Event) -> datetime:
    return event.event_time + timedelta(minutes=event.utc_offset_minutes)


@st.composite
def histories(
    draw: st.DrawFn, instants: Sequence[datetime] = (*CLOCK_CHANGES, datetime(2026, 7, 1, tzinfo=UTC))
) -> list[Event]:
    """Sessions near some instants, with ties, gaps near 30 minutes, and the clock of a zone or of a traveller."""
    events = []
    for user in draw(st.lists(st.sampled_from(["ann", "Bob", "Zoë"]), min_size=1, max_size=3, unique=True)):
        near = draw(st.sampled_from(instants))
        time = near + timedelta(minutes=draw(st.integers(-24 * 60, 24 * 60)))
        travels = draw(st.booleans())
        for _ in range(draw(st.integers(1, 12))):
            gaps = st.one_of(st.just(0), st.integers(0, 3600), st.integers(1795, 1805), st.integers(0, 20 * 3600))
            time += timedelta(seconds=draw(gaps), milliseconds=draw(st.sampled_from([0, 0, 1, 500, 999])))
            offset = time.astimezone(NEW_YORK).utcoffset() or timedelta()
            minutes = offset // timedelta(minutes=1)
            if travels:
                minutes = draw(st.sampled_from([minutes, -720, -210, 0, 345, 540, 840]))
            platform = draw(st.sampled_from(["ios", "android", "web", "other"]))
            events.append(Event(user, time, minutes, draw(st.integers(1, 4)), platform))
    return draw(st.permutations(events))


def table_of(events: list[Event]) -> pa.Table:
    columns = dict(zip(Event._fields, zip(*events, strict=True), strict=True))
    columns["event_time"] = [time.replace(tzinfo=None) for time in columns["event_time"]]
    types = {
        "user_id": pa.string(),
        "event_time": pa.timestamp("ms"),
        "utc_offset_minutes": pa.int16(),
        "page_type": pa.int8(),
        "platform": pa.string(),
    }
    return pa.table({name: pa.array(columns[name], kind) for name, kind in types.items()})


def at(text: str, offset: int = 0, page_type: int = 1, platform: str = "ios") -> Event:
    """An event at a local time."""
    local_time = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Event("ann", local_time - timedelta(minutes=offset), offset, page_type, platform)
