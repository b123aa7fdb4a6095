"""Reads users from CSV: the columns of a visits table and ``date``, the day to forecast; one row per visit.

Rows of one user and one day to forecast belong together, wherever they stand. A user without visits is a row with
``user_id`` and ``date`` alone, every other field empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from visitcast.data import schema
from visitcast.serving.errors import RequestError
from visitcast.serving.json_requests import Head, Locate, User, Visit

DATE = "date"
COLUMNS = (*schema.VISITS_COLUMNS, DATE)
_HEAD = TypeAdapter(Head)
_VISIT = TypeAdapter(Visit)


def read_csv(body: bytes) -> tuple[Sequence[User], Locate]:
    """Read a table with a header line.

    Returns
    -------
    users : sequence of User
        In the order in which each first appears.
    locate : callable
        Names the line of an error.

    Raises
    ------
    RequestError
        The body is no CSV in UTF-8, has other columns, or a value is not of its column's type.
    """
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        _require_columns(header)
        users: dict[tuple[str, str], User] = {}
        lines: dict[tuple[str, str], list[int]] = {}  # of the user's visits, or of the row that names it
        for cells in reader:
            if not cells:
                continue
            line = reader.line_num
            if len(cells) != len(header):
                raise RequestError(f"line {line}", f"It has {len(cells)} fields, not {len(header)}.")
            row = dict(zip(header, cells, strict=True))
            key = row.pop(schema.USER_ID), row.pop(DATE)
            if key not in users:
                head = _checked(_HEAD, {schema.USER_ID: key[0], DATE: key[1]}, line)
                users[key] = User(user_id=head[schema.USER_ID], date=head[DATE], visits=[])
                lines[key] = [line]
            if any(row.values()):
                visits = users[key]["visits"]
                visits.append(_checked(_VISIT, row, line))
                lines[key][len(visits) - 1 :] = [line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestError("body", f"It is no CSV in UTF-8: {error}.") from None
    if not users:
        raise RequestError("body", "It holds no row.")

    lines_of_users = list(lines.values())

    def locate(user: int, visit: int | None, column: str) -> str:
        return f"line {lines_of_users[user][visit or 0]}: {column}"

    return list(users.values()), locate


def _require_columns(header: list[str]) -> None:
    if sorted(header) != sorted(COLUMNS):
        raise RequestError("line 1", f"The columns must be {', '.join(COLUMNS)}, in any order.")


def _checked(kind: TypeAdapter[Any], row: dict[str, str], line: int) -> Any:
    try:
        return kind.validate_strings(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise RequestError(f"line {line}: {first['loc'][-1]}", first["msg"]) from None
