"""Names, types and ranges of every column. No other module spells a column's name.

Two tables are input: ``events`` (one row per page view, the user's own data) and ``visits`` (one row per user and local
calendar day with at least one event, the result of ``sql/visits.sql``). Output are ``visit_forecasts`` (one row per
user and date), ``send_plans`` (one row per push of a campaign), ``sends`` (its rows that were handed over) and
``push_reports`` (what senders report of them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SCHEMA_VERSION: Final = 2
"""Version of the dataset's files; raise it with every change of ``VISITS``."""
HOURS: Final = 24

# --- shared by both tables
USER_ID: Final = "user_id"
PLATFORM: Final = "platform"
UTC_OFFSET_MINUTES: Final = "utc_offset_minutes"

# --- events
EVENT_TIME: Final = "event_time"
PAGE_TYPE: Final = "page_type"
EVENTS_PARTITION: Final = "dt"

# --- visits
VISIT_DATE: Final = "visit_date"
TOTAL_TIME_SPENT_S: Final = "total_time_spent_s"
TOTAL_PAGE_VIEWS: Final = "total_page_views"
PAGE_VIEWS_BY_TYPE: Final = ("page_views_type_1", "page_views_type_2", "page_views_type_3", "page_views_type_4")
FIRST_VISIT_HOUR: Final = "first_visit_hour"
LAST_VISIT_HOUR: Final = "last_visit_hour"
HOURLY_VISITS: Final = "hourly_visits"

PLATFORMS: Final = ("ios", "android", "web", "other")
"""A platform's code is its position here. Any name that is not listed counts as ``other``."""

# --- users to forecast
TIME_ZONE: Final = "time_zone"
INFERRED_TIME_ZONE: Final = "inferred_time_zone"
"""A zone with the user's clock on the date to forecast, from the offsets of visits. On other dates it may be wrong."""
LAST_VISIT_DATE: Final = "last_visit_date"
HISTORY_DAYS: Final = "history_days"
"""Visit days that a forecast is made from."""
LAST_PUSH_AT: Final = "last_push_at"
"""UTC instant of the last push that another tool sent."""
PUSHED_AT: Final = "pushed_at"
"""Instants of the pushes of all campaigns around the date, minutes since 1970-01-01T00:00Z, separated by spaces."""
PUSHED_ON: Final = "pushed_on"
"""Local dates of the same pushes, days since 1970-01-01."""
OPTED_OUT: Final = "opted_out"
"""1 for a user who does not want any push."""

# --- forecasts
DATE: Final = "date"
FIRST_HOUR_PROBABILITIES: Final = "first_visit_hour"
"""24 probabilities. The column of the same name in ``visits`` holds the actual hour (``FIRST_VISIT_HOUR``)."""
HOUR_PROBABILITIES: Final = "visit_hour"
BEST_HOUR: Final = "best_hour"
CONFIDENCE: Final = "confidence"
VISIT_PROBABILITY: Final = "visit_probability"
"""Probability that the user comes on the date; none for a user who never came."""
AS_OF: Final = "as_of"
"""Instant at which the visits that a forecast is made from end."""
SOURCE: Final = "source"
MODEL: Final = "model"
PRIOR: Final = "prior"
BASELINE: Final = "baseline"
SOURCES: Final = (MODEL, PRIOR, BASELINE)
"""Values of a forecast's source: the network answered; or the tuned histogram alone, since the user has fewer than
three visit days, or since no model is in production."""

# --- send plans
ARM: Final = "arm"
SEND_HOUR: Final = "send_hour"
SEND_AT_UTC: Final = "send_at_utc"
SEND_AT_LOCAL: Final = "send_at_local"
CHANCE: Final = "chance"
IDEMPOTENCY_KEY: Final = "idempotency_key"
CAMPAIGN: Final = "campaign"
PROPENSITY: Final = "propensity"
"""Probability over the assignment of arms that the user gets this hour; for ``no_push``, that the user gets none."""
POSSIBLE_HOURS: Final = "possible_hours"
"""Mask; bit h = a push was possible in local hour h."""
WITHHELD: Final = "withheld"
"""Why a push is not handed over; null if it is."""
SALT: Final = "salt"
"""Names the experiment."""

WESTERNMOST_MINUTES: Final = -12 * 60
EASTERNMOST_MINUTES: Final = 14 * 60
LONGEST_LOCAL_DAY_S: Final = 24 * 3600 + 60 * (EASTERNMOST_MINUTES - WESTERNMOST_MINUTES)
"""How long a date lasts for somebody who travels west all day."""
MAX_PAGE_VIEWS: Final = 10_000_000
"""More page views by one user on one day are a broken join, not a visitor."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
        Name in the CSV header or the Parquet schema.
    kind : {"text", "date", "integer"}
        How its text is read. A ``date`` is ``YYYY-MM-DD``.
    dtype : str
        NumPy type in the dataset.
    minimum, maximum : int or None
        Inclusive range, for integers.
    unit : str
        What one means, for people.
    """

    name: str
    kind: Literal["text", "date", "integer"]
    dtype: str
    minimum: int | None = None
    maximum: int | None = None
    unit: str = ""


VISITS: Final[tuple[Column, ...]] = (
    Column(USER_ID, "text", "str"),
    Column(VISIT_DATE, "date", "int32", unit="local calendar day; days since 1970-01-01 in the dataset"),
    Column(TOTAL_TIME_SPENT_S, "integer", "int32", 0, LONGEST_LOCAL_DAY_S, "seconds"),
    Column(TOTAL_PAGE_VIEWS, "integer", "int32", 1, MAX_PAGE_VIEWS, "page views"),
    *(Column(name, "integer", "int32", 0, MAX_PAGE_VIEWS, "page views") for name in PAGE_VIEWS_BY_TYPE),
    Column(FIRST_VISIT_HOUR, "integer", "int8", 0, HOURS - 1, "local hour"),
    Column(LAST_VISIT_HOUR, "integer", "int8", 0, HOURS - 1, "local hour"),
    Column(HOURLY_VISITS, "integer", "int32", 1, 2**HOURS - 1, "mask; bit h = visited in local hour h"),
    Column(PLATFORM, "text", "int8"),
    Column(UTC_OFFSET_MINUTES, "integer", "int16", WESTERNMOST_MINUTES, EASTERNMOST_MINUTES, "minutes east of UTC"),
)
VISITS_COLUMNS: Final = tuple(column.name for column in VISITS)
DAY_COLUMNS: Final = tuple(column for column in VISITS if column.name != USER_ID)
"""Columns of a visit day: arrays of a dataset, keys of a visit in a request."""
