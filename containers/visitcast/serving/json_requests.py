"""Reads users from JSON and JSON Lines, checked by pydantic against the columns of :mod:`visitcast.data.schema`.

A body that is refused costs no more than one of its size that is answered, since what makes bodies expensive is
bounded: :mod:`visitcast.serving.structure` counts keys, objects and arrays before anything is parsed, and pydantic
describes few errors. For that no key is required here, and unknown ones are not an error: pydantic would describe each
missing and each unknown key, with a copy of its object.

The ranges of the numbers are checked in :mod:`visitcast.serving.histories`, on arrays: one by one they would double the
time to read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final

from pydantic import (
    AwareDatetime,
    FailFast,
    Field,
    Strict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import TypeAliasType, TypedDict

from visitcast.data import identifiers, schema
from visitcast.serving import structure
from visitcast.serving.errors import MISSING, RequestError

MAX_VISITS = 10_000
MAX_PLATFORM_LENGTH = 64

Day = Annotated[date, Strict()]
Instant = Annotated[AwareDatetime, Strict()]
Integer = Annotated[int, Strict()]


def _type_of(column: schema.Column) -> Any:
    if column.kind == "integer":
        return Integer
    if column.kind == "date":
        return Day
    return Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PLATFORM_LENGTH)]


# Plain dictionaries: a request may hold a hundred thousand visits, and objects cost twice the time.
_typed_dict: Any = TypedDict
Visit: Any = _typed_dict("Visit", {column.name: _type_of(column) for column in schema.DAY_COLUMNS}, total=False)
_Length = Field(max_length=MAX_VISITS)
VisitColumns: Any = _typed_dict(
    "VisitColumns",
    {column.name: Annotated[list[_type_of(column)], FailFast(), _Length] for column in schema.DAY_COLUMNS},  # type: ignore[misc]
    total=False,
)
"""The visits of a user, as an array for each column."""
# Stops at the first invalid visit: a body full of errors would fill the memory with their descriptions. An alias,
# since `FailFast` has no hash, which a union asks for.
_VisitList = TypeAliasType("_VisitList", Annotated[list[Visit], FailFast(), _Length])


class User(TypedDict, total=False):
    """A user, the day to forecast, and the visit days so far in any order."""

    user_id: Annotated[str, StringConstraints(min_length=1, max_length=identifiers.MAX_LENGTH)]
    date: Day
    as_of: Instant
    visits: Annotated[_VisitList | VisitColumns, Field(union_mode="left_to_right")]


class Body(TypedDict, total=False):
    """Body of a JSON request."""

    users: Annotated[list[User], FailFast(), Field(min_length=1)]


Locate = Callable[[int, int | None, str], str]
"""Names the place in the body of a user's column, or of a column of one of the user's visits."""

_BODY = TypeAdapter(Body)
_USER = TypeAdapter(User)
_REQUIRED: Final = (schema.USER_ID, schema.DATE, structure.VISITS)
"""Keys that every user has."""


def read_json(body: bytes, most_users: int | None = None) -> tuple[Sequence[User], Locate]:
    """Read ``{"users": [...]}``.

    Parameters
    ----------
    body : bytes
        Body of the request.
    most_users : int, optional
        Users that it may have. Default: any number.

    Returns
    -------
    users : sequence of User
        In the order given.
    locate : callable
        Names the place of an error.

    Raises
    ------
    RequestError
        The body is not JSON, or not of this form. 413: it has more users.
    """
    keys = structure.require_few_parts(body, most_users)
    try:
        read = _BODY.validate_json(body)
    except ValidationError as error:
        raise _request_error(error, "") from None
    users = read.get("users", [])
    if keys != len(read) + structure.keys_of(users):
        structure.require_known_keys(body)
    if not users:
        raise RequestError(structure.USERS, MISSING)
    locate = locate_in_json(users)
    _require_keys(users, most_users, locate)
    return users, locate


def read_lines(body: bytes, most_users: int | None = None) -> tuple[Sequence[User], Locate]:
    """Read one user per line; empty lines are skipped.

    Parameters
    ----------
    body : bytes
        Body of the request.
    most_users : int, optional
        Users that it may have. Default: any number.

    Returns
    -------
    users : sequence of User
        In the order of the lines.
    locate : callable
        Names the line of an error.

    Raises
    ------
    RequestError
        A line is not JSON, or not a user. 413: there are more users.
    """
    keys = structure.require_few_parts(body, most_users)
    lines = list(filter(bytes.strip, body.split(b"\n")))
    users: list[User] = []
    try:
        users.extend(map(_USER.validate_json, lines))
    except ValidationError as error:
        raise _request_error(error, _line(body, len(users))) from None
    if keys != structure.keys_of(users):
        for number, line in enumerate(lines):
            structure.require_known_keys_of_line(line, partial(_line, body, number))
    if not users:
        raise RequestError("body", "It contains no user.")

    def locate(user: int, visit: int | None, column: str) -> str:
        return _line(body, user) + _locate_in_user(users[user], visit, column)

    _require_keys(users, most_users, locate)
    return users, locate


def _line(body: bytes, user: int) -> str:
    """Name the line of a user."""
    filled = (number for number, line in enumerate(body.split(b"\n"), 1) if line.strip())
    return f"line {next(islice(filled, user, None))}: "


def _require_keys(users: Sequence[User], most_users: int | None, locate: Locate) -> None:
    if most_users is not None and len(users) > most_users:
        raise structure.too_many_users(len(users), most_users)
    for number, user in enumerate(users):
        for name in _REQUIRED:
            if name not in user:
                raise RequestError(locate(number, None, name), MISSING)
        if not identifiers.is_identifier(user[schema.USER_ID]):
            raise RequestError(locate(number, None, schema.USER_ID), f"It {identifiers.RULE}.")


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
