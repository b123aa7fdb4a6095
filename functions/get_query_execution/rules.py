"""Rules of ``make check-events`` that visits cannot show: what events must follow for a model to learn from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LARGEST_SHARE_LEFT_OUT: Final = 0.01
ALWAYS_LEFT_OUT: Final = 5
LARGEST_SHARE_OF_STRANGERS: Final = 0.5
MIDNIGHT_REFUSED: Final = 0.9
MIDNIGHT_WARNED: Final = 0.2
"""A test compares these with visitcast.events.rules."""


def refusal_of(counts: Mapping[str, int]) -> str:
    """Return why events cannot be used, with what helps; empty if they can.

    Parameters
    ----------
    counts
        Columns of ``sql/event_counts.sql``.
    """
    rows = counts["rows"]
    if not rows:  # the copy of the result says so
        return ""
    none_left = LARGEST_SHARE_LEFT_OUT * rows + ALWAYS_LEFT_OUT
    refusals = (
        (counts["without_time"] > 0, "without_time", "have no event_time", "Remove these rows."),
        (
            counts["unidentified"] > LARGEST_SHARE_OF_STRANGERS * rows,
            "unidentified",
            "have a user_id that is empty, longer than 256 characters or has control characters",
            "Choose another column.",
        ),
        (
            counts["ancient"] > none_left,
            "ancient",
            "have an event_time before 1990",
            "Check the unit and the format of the times.",
        ),
        (
            counts["future"] > none_left,
            "future",
            "have an event_time more than a day in the future",
            "Check the unit and the format of the times.",
        ),
        (
            counts["midnight"] >= MIDNIGHT_REFUSED * rows,
            "midnight",
            "are at exactly 00:00:00, so event_time is a date",
            "Choose a column with times of day.",
        ),
        (
            counts["impossible_offsets"] > 0,
            "impossible_offsets",
            "have no utc_offset_minutes from -720 to 840",
            "Give minutes: offsets in other units have --offset-unit hours or seconds.",
        ),
        (
            counts["tiny_offsets"] > 0 and counts["tiny_offsets"] + counts["zero_offsets"] == rows,
            "tiny_offsets",
            "have a utc_offset_minutes of less than a quarter of an hour, and no row has more: these are hours",
            "Give minutes, or --offset-unit hours.",
        ),
        (
            counts["unknown_page_types"] > 0,
            "unknown_page_types",
            "have no page_type from 1 to 4",
            "Name the kind of each value, --page-types home=1,*=4, or count all as one: --columns page_type=",
        ),
    )
    for is_broken, name, rule, remedy in refusals:
        if is_broken:
            return (
                f"The events cannot be used: {counts[name]} of {rows} rows {rule}. {remedy} Convert an export by make "
                "events, or deploy with another EventsMapping."
            )
    return ""


def notes_on(counts: Mapping[str, int]) -> list[str]:
    """Return what people should know of events that can be used."""
    rows = counts["rows"]
    found = [
        f"{counts[name]} of {rows} rows were left out: their {what}."
        for name, what in (
            ("unidentified", "user_id is empty, longer than 256 characters or has control characters"),
            ("ancient", "event_time is before 1990"),
            ("future", "event_time is more than a day in the future"),
        )
        if counts[name]
    ]
    if rows and counts["midnight"] >= MIDNIGHT_WARNED * rows:
        found.append(f"{counts['midnight']} of {rows} rows are at exactly 00:00:00: some may be dates.")
    if rows and counts["zero_offsets"] == rows:
        found.append("Every utc_offset_minutes is 0, so hours are those of UTC.")
    return found


def remedy_for(reason: str) -> str:
    """Return what helps against an error of Athena."""
    if "HIVE_BAD_DATA" in reason:
        return (
            "pandas writes whole numbers as int64, which Athena does not read as the table's types. Replace this file: "
            "make events EVENTS=<your file> OUT=s3://<BucketName>/events REPLACE=yes. In a table that you have, give "
            "the column the type that it has in the file."
        )
    if "must " in reason:  # a rule of the mapping's SQL
        return "Correct these rows, or deploy with another EventsMapping."
    return "Fix the SQL in sql/ or the events table and deploy again."
