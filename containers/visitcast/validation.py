"""Check visits, from CSV files and from requests to the endpoint, against :mod:`visitcast.rules`.

An error names the column, the rule and up to five offending rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from visitcast import schema
from visitcast.errors import InputError
from visitcast.rules import BY_USER_AND_DATE, ROW_RULES, RULES, Rule, Visits
from visitcast.text_values import dates, days_since_epoch, integers, ranks

ROWS_SHOWN: Final = 5
VALUE_LENGTH_SHOWN: Final = 32
LATEST_OFFSET: Final = timedelta(minutes=schema.EASTERNMOST_MINUTES)
"""Where a date begins first: local dates may be that far ahead of UTC."""


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
    shown = dict.fromkeys((*BY_USER_AND_DATE, *rule.columns))
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
