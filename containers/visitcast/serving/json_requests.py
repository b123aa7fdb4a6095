"""Reads users from JSON and JSON Lines, checked by pydantic against the columns of :mod:`visitcast.data.schema`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any

from pydantic import ConfigDict, FailFast, Field, Strict, StringConstraints, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from visitcast.data import schema
from visitcast.serving.errors import RequestError

MAX_VISITS = 10_000
MAX_PLATFORM_LENGTH = 64

_STRICT_KEYS = ConfigDict(extra="forbid")
Day = Annotated[date, Strict()]


def _type_of(column: schema.Column) -> Any:
    if column.kind == "integer":
        return Annotated[int, Field(ge=column.minimum, le=column.maximum)]
    if column.kind == "date":
        return Day
    return Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PLATFORM_LENGTH)]


# Plain dictionaries: a request may hold a hundred thousand visits, and objects cost twice the time.
_typed_dict: Any = TypedDict
Visit: Any = with_config(_STRICT_KEYS)(
    _typed_dict("Visit", {column.name: _type_of(column) for column in schema.DAY_COLUMNS})
)


@with_config(_STRICT_KEYS)
class Head(TypedDict):
    """A user, and the day to forecast."""

    user_id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    date: Day


class User(Head):
    """One user, and the visit days so far, in any order."""

    # Stops at the first invalid visit: a body full of errors would fill the memory with their descriptions.
    visits: Annotated[list[Visit], FailFast(), Field(max_length=MAX_VISITS)]


@with_config(_STRICT_KEYS)
class Body(TypedDict):
    """Body of a JSON request."""

    users: Annotated[list[User], FailFast(), Field(min_length=1)]


Locate = Callable[[int, int | None, str], str]
"""Names the place in the body of a user's column, or of a column of one of the user's visits."""

_BODY = TypeAdapter(Body)
_USER = TypeAdapter(User)


def read_json(body: bytes) -> tuple[Sequence[User], Locate]:
    """Read ``{"users": [...]}``.

    Returns
    -------
    users : sequence of User
        In the order given.
    locate : callable
        Names the place of an error.

    Raises
    ------
    RequestError
        The body is not JSON, or not of this form.
    """
    try:
        return _BODY.validate_json(body)["users"], locate_in_json
    except ValidationError as error:
        raise _request_error(error, "") from None


def read_lines(body: bytes) -> tuple[Sequence[User], Locate]:
    """Read one user per line; empty lines are skipped.

    Returns
    -------
    users : sequence of User
        In the order of the lines.
    locate : callable
        Names the line of an error.

    Raises
    ------
    RequestError
        A line is not JSON, or not a user.
    """
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    users = []
    for number, line in lines:
        try:
            users.append(_USER.validate_json(line))
        except ValidationError as error:
            raise _request_error(error, f"line {number}: ") from None
    if not users:
        raise RequestError("body", "It contains no user.")

    def locate(user: int, visit: int | None, column: str) -> str:
        return f"line {lines[user][0]}: {column if visit is None else f'visits[{visit}].{column}'}"

    return users, locate


def _request_error(error: ValidationError, where: str) -> RequestError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return RequestError(where + (path(first["loc"]) or "body"), first["msg"])


def locate_in_json(user: int, visit: int | None, column: str) -> str:
    """Return the place of a column such as ``users[0].visits[3].visit_date``."""
    return f"users[{user}].{column}" if visit is None else f"users[{user}].visits[{visit}].{column}"


def path(location: tuple[int | str, ...]) -> str:
    """Write pydantic's location as ``users[0].date``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
