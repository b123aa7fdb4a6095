"""Reads users from JSON and JSON Lines, checked by pydantic against the columns of :mod:`visitcast.data.schema`.

The ranges of the numbers are checked in :mod:`visitcast.serving.histories`, on arrays: one by one they would double the
time to read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any, Final, NotRequired

from pydantic import (
    AwareDatetime,
    ConfigDict,
    FailFast,
    Field,
    Strict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import TypeAliasType, TypedDict

from visitcast.data import schema
from visitcast.serving.errors import RequestError

MAX_VISITS = 10_000
MAX_PLATFORM_LENGTH = 64

_STRICT_KEYS = ConfigDict(extra="forbid")
Day = Annotated[date, Strict()]
Instant = Annotated[AwareDatetime, Strict()]


def _type_of(column: schema.Column) -> Any:
    if column.kind == "integer":
        return int
    if column.kind == "date":
        return Day
    return Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PLATFORM_LENGTH)]


# Plain dictionaries: a request may hold a hundred thousand visits, and objects cost twice the time.
_typed_dict: Any = TypedDict
Visit: Any = with_config(_STRICT_KEYS)(
    _typed_dict("Visit", {column.name: _type_of(column) for column in schema.DAY_COLUMNS})
)
_Length = Field(max_length=MAX_VISITS)
VisitColumns: Any = with_config(_STRICT_KEYS)(
    _typed_dict(
        "VisitColumns",
        {column.name: Annotated[list[_type_of(column)], FailFast(), _Length] for column in schema.DAY_COLUMNS},  # type: ignore[misc]
    )
)
"""The visits of a user, as an array for each column."""
# Stops at the first invalid visit: a body full of errors would fill the memory with their descriptions. An alias,
# since `FailFast` has no hash, which a union asks for.
_VisitList = TypeAliasType("_VisitList", Annotated[list[Visit], FailFast(), _Length])


@with_config(_STRICT_KEYS)
class User(TypedDict):
    """A user, the day to forecast, and the visit days so far in any order."""

    user_id: Annotated[str, StringConstraints(min_length=1, max_length=schema.MAX_USER_ID_LENGTH)]
    date: Day
    as_of: NotRequired[Instant]
    visits: Annotated[_VisitList | VisitColumns, Field(union_mode="left_to_right")]


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
        users = _BODY.validate_json(body)["users"]
    except ValidationError as error:
        raise _request_error(error, "") from None
    return users, locate_in_json(users)


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
        return f"line {lines[user][0]}: {_locate_in_user(users[user], visit, column)}"

    return users, locate


_FORMS: Final = {"list_type": "list[Visit]", "dict_type": "VisitColumns"}
"""The two forms of visits as pydantic names them in a location, by its error where visits have not that form."""


def _request_error(error: ValidationError, where: str) -> RequestError:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    # Pydantic lists what is wrong with either form of the visits; what is not a list was to be columns.
    of_columns = errors[0]["loc"][-1:] == (_FORMS["list_type"],) and errors[1]["type"] != "dict_type"
    first = errors[1 if of_columns else 0]
    location = tuple(part for part in first["loc"] if part not in _FORMS.values())
    return RequestError(where + (path(location) or "body"), first["msg"])


def locate_in_json(users: Sequence[User]) -> Locate:
    """Return what names a place such as ``users[0].visits[3].visit_date``, or ``users[0].visits.visit_date[3]``."""

    def locate(user: int, visit: int | None, column: str) -> str:
        return f"users[{user}].{_locate_in_user(users[user], visit, column)}"

    return locate


def _locate_in_user(user: User, visit: int | None, column: str) -> str:
    if visit is None:
        return column
    return f"visits.{column}[{visit}]" if isinstance(user["visits"], dict) else f"visits[{visit}].{column}"


def path(location: tuple[int | str, ...]) -> str:
    """Write pydantic's location as ``users[0].date``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
