"""The rules that visits must keep, all in one table (``RULES``), for the CSV files and for requests to the endpoint.

Rules are checked in order and the first broken one ends the check, so a rule may rely on those above it. The error
names the column, the rule and up to five offending rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from visitcast import schema
from visitcast.errors import InputError
from visitcast.text_values import dates, days_since_epoch, integers, ranks

ROWS_SHOWN: Final = 5
VALUE_LENGTH_SHOWN: Final = 32
LATEST_OFFSET: Final = timedelta(hours=14)
"""Where a date begins first (UTC+14:00): local dates may be that far ahead of UTC."""

Mask = NDArray[np.bool_]


class RuleError(InputError):
    """Visits break a rule.

    Attributes
    ----------
    rule : str
        Name of the rule.
    columns : tuple of str
        Columns the rule is about.
    """

    def __init__(self, rule: Rule, cause: str) -> None:
        named = " and ".join(rule.columns)
        super().__init__(f'The visits break the rule "{rule.name}" ({named}).', cause, rule.remedy)
        self.rule = rule.name
        self.columns = rule.columns


@dataclass(frozen=True)
class Visits:
    """Rows to check.

    Attributes
    ----------
    text : pyarrow.Table
        Columns of ``schema.VISITS`` as strings, as they came.
    values : dict of str to array [rows]
        Integers as int64, dates as days since 1970-01-01, both 0 where unreadable; text as its rank in sort order.
    unreadable : dict of str to bool array [rows]
        Where a value is not of its column's type.
    source : int64 array [rows]
        Number of the file that holds the row.
    last_date : int
        Latest local date that any place on Earth has reached (days since 1970-01-01).
    """

    text: pa.Table
    values: dict[str, NDArray[np.int64]]
    unreadable: dict[str, Mask]
    source: NDArray[np.int64]
    last_date: int


@dataclass(frozen=True)
class Rule:
    """A rule: its name, its columns, its text for people, and which rows break it."""

    name: str
    columns: tuple[str, ...]
    text: str
    broken: Callable[[Visits], Mask]
    remedy: str = "Correct the source SQL or the events it reads, then start again."


def _present(column: schema.Column) -> Rule:
    def broken(visits: Visits) -> Mask:
        text: Any = visits.text[column.name].fill_null(pa.scalar(""))
        blank: Mask = pc.equal(pc.utf8_trim_whitespace(text), pa.scalar("")).to_numpy()
        return blank

    return Rule("value present", (column.name,), f"{column.name} must not be NULL or blank", broken)


def _readable(column: schema.Column) -> Rule:
    kind = {"integer": "a whole number", "date": "a date YYYY-MM-DD", "text": "text"}[column.kind]
    return Rule("type", (column.name,), f"{column.name} must be {kind}", lambda visits: visits.unreadable[column.name])


def _in_range(column: schema.Column, low: int, high: int) -> Rule:
    def broken(visits: Visits) -> Mask:
        return (visits.values[column.name] < low) | (visits.values[column.name] > high)

    return Rule("range", (column.name,), f"{column.name} must lie in {low}..{high} ({column.unit})", broken)


def _mask_misses(hour: str) -> Callable[[Visits], Mask]:
    return lambda visits: ((visits.values[schema.HOURLY_VISITS] >> visits.values[hour]) & 1) == 0


def _page_types_do_not_add_up(visits: Visits) -> Mask:
    total = sum((visits.values[name] for name in schema.PAGE_VIEWS_BY_TYPE), np.zeros(1, dtype=np.int64))
    return np.asarray(total != visits.values[schema.TOTAL_PAGE_VIEWS])


def _in_the_future(visits: Visits) -> Mask:
    return visits.values[schema.VISIT_DATE] > visits.last_date


def _repeated_user_day(visits: Visits) -> Mask:
    user, day = visits.values[schema.USER_ID], visits.values[schema.VISIT_DATE]
    order = np.lexsort((day, user))
    repeated = np.zeros(len(order), dtype=bool)
    repeated[order[1:]] = (np.diff(user[order]) == 0) & (np.diff(day[order]) == 0)
    return repeated


def _user_in_another_file(visits: Visits) -> Mask:
    user = visits.values[schema.USER_ID]
    first_source = np.full(user.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first_source, user, visits.source)
    elsewhere: Mask = visits.source != first_source[user]
    return elsewhere


def _out_of_order(visits: Visits) -> Mask:
    user, day = visits.values[schema.USER_ID], visits.values[schema.VISIT_DATE]
    step = np.diff(user)
    back = (step < 0) | ((step == 0) & (np.diff(day) < 0))
    return np.concatenate([[False], back & (np.diff(visits.source) == 0)])


_BY_USER_AND_DATE = (schema.USER_ID, schema.VISIT_DATE)

ROW_RULES: Final[tuple[Rule, ...]] = (
    *(_present(column) for column in schema.VISITS),
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
        "Check the clocks that stamp the events, and the instant the data end.",
    ),
    Rule(
        "one row per user and day",
        _BY_USER_AND_DATE,
        "a user's local day must appear once",
        _repeated_user_day,
        "Group the source SQL by user and local date, and copy each result once.",
    ),
)
"""Rules for any set of visits."""

FILE_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "one file per user",
        (schema.USER_ID,),
        "all visits of a user must be in the same file",
        _user_in_another_file,
        "Write one file, or shard the files by user.",
    ),
    Rule(
        "sorted",
        _BY_USER_AND_DATE,
        f"each file must be sorted by {schema.USER_ID}, then {schema.VISIT_DATE}",
        _out_of_order,
        f"End the source SQL with ORDER BY {schema.USER_ID}, {schema.VISIT_DATE}.",
    ),
)
"""Further rules for files."""

RULES: Final = (*ROW_RULES, *FILE_RULES)


def check(
    text: pa.Table,
    as_of: datetime,
    rules: Iterable[Rule] = RULES,
    source: NDArray[np.int64] | None = None,
    locate: Callable[[int], str] = "row {}".format,
) -> pd.DataFrame:
    """Check visits and give them their types.

    Parameters
    ----------
    text : pyarrow.Table
        Columns of ``schema.VISITS`` as strings.
    as_of : datetime
        Instant at which the data end, with a time zone.
    rules : iterable of Rule
        Rules to check, in order.
    source : int64 array [rows], optional
        Number of the file that holds each row. Default: all from one.
    locate : callable
        Name for people of the row with a number, such as a file and a line.

    Returns
    -------
    DataFrame
        Same rows and order; text, ``datetime64[s]`` dates and int64.

    Raises
    ------
    RuleError
        A rule is broken.
    """
    visits = _parse(text, as_of, np.zeros(text.num_rows, dtype=np.int64) if source is None else source)
    for rule in rules:
        offending = np.flatnonzero(rule.broken(visits))
        if len(offending):
            raise RuleError(rule, _describe(rule, visits, offending, locate))
    columns: dict[str, Any] = {}
    for column in schema.VISITS:
        if column.kind == "text":
            columns[column.name] = text[column.name].to_numpy()
        elif column.kind == "date":
            columns[column.name] = visits.values[column.name].astype("datetime64[D]")
        else:
            columns[column.name] = visits.values[column.name]
    return pd.DataFrame(columns)


def check_rows(rows: Sequence[Mapping[str, object]], as_of: datetime) -> pd.DataFrame:
    """Check visits that came as JSON objects, each with every column of ``schema.VISITS``; any order of rows.

    Raises
    ------
    InputError
        A key is missing or unknown.
    RuleError
        A rule of ``ROW_RULES`` is broken.
    """
    for number, row in enumerate(rows):
        require_columns(list(row), f"row {number}")
    text = {name: pa.array([_json_text(row[name]) for row in rows], pa.string()) for name in schema.VISITS_COLUMNS}
    return check(pa.table(text), as_of, ROW_RULES)


def require_columns(names: Sequence[str], where: str) -> None:
    """Refuse names that are not exactly the columns of ``schema.VISITS``, in any order.

    Raises
    ------
    InputError
        A column is missing, unknown or there twice.
    """
    expected = schema.VISITS_COLUMNS
    problems = {
        "missing": [name for name in expected if name not in names],
        "unknown": [name for name in dict.fromkeys(names) if name not in expected],
        "there twice": [name for name in expected if list(names).count(name) > 1],
    }
    found = "; ".join(f"{kind}: {', '.join(map(_shown, columns))}" for kind, columns in problems.items() if columns)
    if found:
        raise InputError(
            f"The columns of {where} are not those of a visits table.",
            f"{found}. Expected: {', '.join(expected)}.",
            "Correct the SELECT list of the source SQL (or the keys of the request).",
        )


def _json_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else repr(value)


def _parse(text: pa.Table, as_of: datetime, source: NDArray[np.int64]) -> Visits:
    readers = {"integer": integers, "date": dates, "text": ranks}
    values, unreadable = {}, {}
    for column in schema.VISITS:
        values[column.name], unreadable[column.name] = readers[column.kind](text[column.name].combine_chunks())
    last_date = (as_of.astimezone(UTC) + LATEST_OFFSET).date()
    return Visits(text, values, unreadable, source, days_since_epoch(last_date))


def _describe(rule: Rule, visits: Visits, offending: NDArray[np.int64], locate: Callable[[int], str]) -> str:
    shown = dict.fromkeys((*_BY_USER_AND_DATE, *rule.columns))
    lines = []
    for row in offending[:ROWS_SHOWN].tolist():
        cells = ", ".join(f"{name}={_shown(visits.text[name][row].as_py())}" for name in shown)
        lines.append(f"{locate(row)}: {cells}")
    count = "1 row breaks it" if len(offending) == 1 else f"{len(offending):,} rows break it"
    return f"{rule.text}. {count}: " + "; ".join(lines) + "."


def _shown(value: str | None) -> str:
    if value is None:
        return "NULL"
    return repr(value if len(value) <= VALUE_LENGTH_SHOWN else value[: VALUE_LENGTH_SHOWN - 1] + "…")
