"""Check visits against :mod:`visitcast.data.rules`.

An error names the column, the rule and up to five offending rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.calendar import days_since_epoch
from visitcast.data.rules import BY_USER_AND_DATE, Mask, Rule, Visits
from visitcast.data.text_values import blank, dates, integers, ranks
from visitcast.errors import InputError

ROWS_SHOWN: Final = 5
VALUE_LENGTH_SHOWN: Final = 32
LATEST_OFFSET: Final = timedelta(minutes=schema.EASTERNMOST_MINUTES)
"""Local dates may be this far ahead of UTC."""


class RuleError(InputError):
    """Visits break a rule.

    Attributes
    ----------
    rule : str
        Name of the rule.
    text : str
        Its text.
    columns : tuple of str
        Columns of the rule.
    rows : int array
        The rows that break it.
    """

    def __init__(self, rule: Rule, cause: str, rows: NDArray[np.int64]) -> None:
        named = " and ".join(rule.columns)
        super().__init__(f'The visits break the rule "{rule.name}" ({named}).', cause, rule.remedy)
        self.rule = rule.name
        self.text = rule.text
        self.rows = rows
        self.columns = rule.columns


def check(
    visits: Visits,
    rules: Iterable[Rule],
    locate: Callable[[int], str] = "row {}".format,
    more_follow: bool = False,
) -> None:
    """Refuse visits that break a rule.

    Parameters
    ----------
    visits : Visits
        Rows.
    rules : iterable of Rule
        Rules to check, in order.
    locate : callable
        Names the row with a number in an error, such as by file and line.
    more_follow : bool
        Whether more rows follow, which may break the rule too.

    Raises
    ------
    RuleError
        A rule is broken.
    """
    for rule in rules:
        offending = np.flatnonzero(rule.broken(visits))
        if len(offending):
            raise RuleError(rule, _describe(rule, visits, offending, locate, more_follow), offending)


def parse_text(
    text: pa.Table,
    as_of: datetime,
    source: NDArray[np.int64] | None = None,
    in_another_source: Callable[[pa.StringArray], Mask] | None = None,
) -> Visits:
    """Parse visits that are text.

    Parameters
    ----------
    text : pyarrow.Table
        Columns of ``schema.VISITS`` as strings.
    as_of : datetime
        Instant at which the data end, with a time zone.
    source : int64 array [rows], optional
        Number of the file that holds each row. Default: all from one.
    in_another_source : callable, optional
        Returns which of some distinct users were in an earlier file. Default: none.
    """
    values, distinct, absent, unreadable = {}, {}, {}, {}
    none = np.zeros(text.num_rows, dtype=bool)
    for column in schema.VISITS:
        name, strings = column.name, text[column.name].combine_chunks()
        absent[name] = blank(strings)
        unreadable[name] = none
        if column.kind == "text":
            values[name], distinct[name] = ranks(strings)
        else:
            values[name], unreadable[name] = (integers if column.kind == "integer" else dates)(strings)
    elsewhere = none
    if in_another_source is not None:
        elsewhere = in_another_source(distinct[schema.USER_ID])[values[schema.USER_ID]]
    return Visits(
        shown=text,
        values=values,
        distinct=distinct,
        absent=absent,
        unreadable=unreadable,
        source=np.zeros(text.num_rows, dtype=np.int64) if source is None else source,
        in_another_source=elsewhere,
        last_date=last_local_date(as_of),
    )


def last_local_date(as_of: datetime) -> int:
    """Return the latest date (days since 1970-01-01) that has begun somewhere on Earth at an instant."""
    return days_since_epoch((as_of.astimezone(UTC) + LATEST_OFFSET).date())


def require_columns(names: Sequence[str], where: str) -> None:
    """Refuse names that are not exactly the columns of ``schema.VISITS``, in any order.

    Raises
    ------
    InputError
        A column is missing, unknown or repeated.
    """
    expected = schema.VISITS_COLUMNS
    problems = {
        "missing": [name for name in expected if name not in names],
        "unknown": [name for name in dict.fromkeys(names) if name not in expected],
        "there twice": [name for name in expected if list(names).count(name) > 1],
    }
    found = "; ".join(f"{kind}: {', '.join(map(shown, columns))}" for kind, columns in problems.items() if columns)
    if found:
        raise InputError(
            f"The columns of {where} are not those of a visits table.",
            f"{found}. Expected: {', '.join(expected)}.",
            "Supply exactly these columns; in the workflow the source SQL selects them.",
        )


def _describe(
    rule: Rule, visits: Visits, offending: NDArray[np.int64], locate: Callable[[int], str], more_follow: bool
) -> str:
    columns = dict.fromkeys((*BY_USER_AND_DATE, *rule.columns))
    lines = []
    for row in offending[:ROWS_SHOWN].tolist():
        cells = ", ".join(f"{name}={shown(visits.shown[name][row].as_py())}" for name in columns)
        lines.append(f"{locate(row)}: {cells}")
    count = "1 row breaks it" if len(offending) == 1 else f"{len(offending):,} rows break it"
    if more_follow:
        count += " in the part read so far"
    return f"{rule.text}. {count}: " + "; ".join(lines) + "."


def shown(value: object) -> str:
    """Write a value of somebody else for people: short, and nothing that a terminal obeys."""
    if value is None:
        return "NULL"
    text = str(value)
    return repr(text if len(text) <= VALUE_LENGTH_SHOWN else text[: VALUE_LENGTH_SHOWN - 1] + "…")
