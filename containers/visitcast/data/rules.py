"""The rules that visits must follow, in one table.

``ROW_RULES`` hold for any visits; ``CSV_RULES`` and ``HISTORY_RULES`` add the rules of a kind of file.

Rules are checked in this order, and the first broken one ends the check, so a rule may rely on those above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import identifiers, schema
from visitcast.data.text_values import not_identifiers

if TYPE_CHECKING:
    import pyarrow as pa

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Visits:
    """Rows to check.

    Attributes
    ----------
    shown : pyarrow.Table
        Columns of ``schema.VISITS`` as read, for error messages.
    values : dict of str to array [rows]
        Integers as int64, dates as days since 1970-01-01, both 0 where unreadable; text as its position in `distinct`.
    distinct : dict of str to pyarrow.StringArray
        The different texts of a text column, ascending by code point; NULL counts as the empty text.
    absent, unreadable : dict of str to bool array [rows]
        Where a value is NULL or blank, and where it does not have its column's type.
    source : int64 array [rows]
        Number of the file (CSV) or of the list (histories) that holds the row. A user must have one source only.
    in_another_source : bool array [rows]
        Where the row's user was already in a source read before these.
    last_date : int
        Latest local date that any place on Earth has reached (days since 1970-01-01).
    """

    shown: pa.Table
    values: dict[str, NDArray[np.int64]]
    distinct: dict[str, pa.StringArray]
    absent: dict[str, Mask]
    unreadable: dict[str, Mask]
    source: NDArray[np.int64]
    in_another_source: Mask
    last_date: int


@dataclass(frozen=True)
class Rule:
    """A rule: its name, its columns, its text for error messages, and which rows break it."""

    name: str
    columns: tuple[str, ...]
    text: str
    broken: Callable[[Visits], Mask]
    remedy: str = "Correct the source SQL or the events it reads, then start again."


def _present(column: schema.Column) -> Rule:
    return Rule(
        "value present",
        (column.name,),
        f"{column.name} must not be NULL or blank",
        lambda visits: visits.absent[column.name],
    )


def _readable(column: schema.Column) -> Rule:
    kind = {"integer": "a whole number", "date": "a date YYYY-MM-DD", "text": "text"}[column.kind]
    return Rule("type", (column.name,), f"{column.name} must be {kind}", lambda visits: visits.unreadable[column.name])


def _in_range(column: schema.Column, low: int, high: int) -> Rule:
    def broken(visits: Visits) -> Mask:
        return (visits.values[column.name] < low) | (visits.values[column.name] > high)

    return Rule("range", (column.name,), f"{column.name} must lie in {low}..{high} ({column.unit})", broken)


def _mask_misses(hour: str) -> Callable[[Visits], Mask]:
    return lambda visits: ((visits.values[schema.HOURLY_VISITS] >> visits.values[hour]) & 1) == 0


def _not_an_identifier(visits: Visits) -> Mask:
    broken: Mask = not_identifiers(visits.distinct[schema.USER_ID])[visits.values[schema.USER_ID]]
    return broken


def _page_types_do_not_add_up(visits: Visits) -> Mask:
    total = np.sum([visits.values[name] for name in schema.PAGE_VIEWS_BY_TYPE], axis=0)
    broken: Mask = total != visits.values[schema.TOTAL_PAGE_VIEWS]
    return broken


def _in_the_future(visits: Visits) -> Mask:
    return visits.values[schema.VISIT_DATE] > visits.last_date


def _repeated_user_day(visits: Visits) -> Mask:
    user, day = visits.values[schema.USER_ID], visits.values[schema.VISIT_DATE]
    key = (user << 32) + day
    repeated = np.zeros(len(key), dtype=bool)
    if not np.all(key[1:] > key[:-1]):  # Sorted input, the usual case, needs no sorting.
        order = np.argsort(key, kind="stable")
        repeated[order[1:]] = np.diff(key[order]) == 0
    return repeated


def _user_in_another_source(visits: Visits) -> Mask:
    user = visits.values[schema.USER_ID]
    first_source = np.full(user.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first_source, user, visits.source)
    elsewhere: Mask = visits.in_another_source | (visits.source != first_source[user])
    return elsewhere


def _out_of_order(visits: Visits) -> Mask:
    user, day = visits.values[schema.USER_ID], visits.values[schema.VISIT_DATE]
    step = np.diff(user)
    back = (step < 0) | ((step == 0) & (np.diff(day) < 0))
    return np.concatenate([[False], back & (np.diff(visits.source) == 0)])


BY_USER_AND_DATE = (schema.USER_ID, schema.VISIT_DATE)

ROW_RULES: Final[tuple[Rule, ...]] = (
    *(_present(column) for column in schema.VISITS),
    Rule(
        "identifier",
        (schema.USER_ID,),
        f"{schema.USER_ID} {identifiers.RULE}",
        _not_an_identifier,
        "Leave these users out in the source SQL, or choose another column for them, then start again.",
    ),
    *(_readable(column) for column in schema.VISITS if column.kind != "text"),
    *(
        _in_range(column, column.minimum, column.maximum)
        for column in schema.VISITS
        if column.minimum is not None and column.maximum is not None
    ),
    Rule(
        "page types add up",
        (schema.TOTAL_PAGE_VIEWS, *schema.PAGE_VIEWS_BY_TYPE),
        f"{schema.TOTAL_PAGE_VIEWS} must be the sum of the page views of types 1..{len(schema.PAGE_VIEWS_BY_TYPE)}; "
        "an event with another page type is counted in the total alone",
        _page_types_do_not_add_up,
    ),
    Rule(
        "mask holds first hour",
        (schema.HOURLY_VISITS, schema.FIRST_VISIT_HOUR),
        f"bit {schema.FIRST_VISIT_HOUR} of {schema.HOURLY_VISITS} must be set",
        _mask_misses(schema.FIRST_VISIT_HOUR),
    ),
    Rule(
        "mask holds last hour",
        (schema.HOURLY_VISITS, schema.LAST_VISIT_HOUR),
        f"bit {schema.LAST_VISIT_HOUR} of {schema.HOURLY_VISITS} must be set",
        _mask_misses(schema.LAST_VISIT_HOUR),
    ),
    Rule(
        "not in the future",
        (schema.VISIT_DATE,),
        f"{schema.VISIT_DATE} must be a day that has begun somewhere on Earth when the data end",
        _in_the_future,
        "Check the clocks that set the events' times, and the instant at which the data end.",
    ),
    Rule(
        "one row per user and day",
        BY_USER_AND_DATE,
        "a user's local day must appear once",
        _repeated_user_day,
        "Group the source SQL by user and local date, and copy each result once.",
    ),
)
"""Rules for any set of visits."""

CSV_RULES: Final[tuple[Rule, ...]] = (
    *ROW_RULES,
    Rule(
        "one file per user",
        (schema.USER_ID,),
        "all visits of a user must be in the same file",
        _user_in_another_source,
        "Write one file, or shard the files by user.",
    ),
    Rule(
        "sorted",
        BY_USER_AND_DATE,
        f"each file must be sorted by {schema.USER_ID}, then {schema.VISIT_DATE}",
        _out_of_order,
        f"End the source SQL with ORDER BY {schema.USER_ID}, {schema.VISIT_DATE}.",
    ),
)
"""Rules for CSV files."""

HISTORY_RULES: Final[tuple[Rule, ...]] = (
    *ROW_RULES[:-1],
    # Before the last rule, since a user with two histories has days twice.
    Rule(
        "one history per user",
        (schema.USER_ID,),
        "all visits of a user must be in the lists of one row",
        _user_in_another_source,
        "Group the source SQL by user, and unload it once, into an empty folder.",
    ),
    ROW_RULES[-1],
)
"""Rules for Parquet files of histories."""
