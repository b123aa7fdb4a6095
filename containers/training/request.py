"""Reads and checks the body of a request to ``/invocations``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from visitcast import schema
from visitcast.dataset import Dataset, from_frame, with_target_days
from visitcast.errors import InputError
from visitcast.validation import RuleError, check_rows

MAX_USERS = 1000
"""SageMaker ends a request after 60 s and at 6 MB; larger batches belong into a batch transform."""
MAX_VISITS = 10_000


class RequestError(Exception):
    """The request cannot be answered.

    Attributes
    ----------
    field : str
        Where in the body, such as ``users[0].visits``.
    reason : str
        What is wrong there.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


class UserRequest(BaseModel):
    """One user: which day to forecast, and the visit days so far."""

    model_config = ConfigDict(extra="forbid")
    user_id: Annotated[str, Field(min_length=1, max_length=256)]
    date: date
    visits: Annotated[list[dict[str, Any]], Field(max_length=MAX_VISITS)]


class ForecastRequest(BaseModel):
    """Body of a request."""

    model_config = ConfigDict(extra="forbid")
    users: Annotated[list[UserRequest], Field(min_length=1, max_length=MAX_USERS)]


def parse(body: bytes) -> ForecastRequest:
    """Read a request's body.

    Raises
    ------
    RequestError
        The body is no JSON or not of this form.
    """
    try:
        return ForecastRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise RequestError(_path(first["loc"]), first["msg"]) from None


def dataset_of(request: ForecastRequest) -> Dataset:
    """Check the visits and build a dataset whose users are the request's, in its order, each ending in the target day.

    Raises
    ------
    RequestError
        A visit breaks a rule of :mod:`visitcast.validation`, or is not before the day to forecast.
    """
    histories = _with_empty_users(_check(request.users), len(request.users))
    targets = np.array([(user.date - date(1970, 1, 1)).days for user in request.users], dtype=np.int32)
    for number in np.flatnonzero(np.diff(histories.offsets)):
        if histories.visit_date[histories.offsets[number + 1] - 1] >= targets[number]:
            raise RequestError(f"users[{number}].date", "The day to forecast must be later than all visits.")
    return with_target_days(histories, targets)


def _check(users: Sequence[UserRequest]) -> Dataset:
    rows = [
        {**visit, schema.USER_ID: f"{number:06d}"}  # Keeps the request's order, and two entries of one user apart.
        for number, user in enumerate(users)
        for visit in user.visits
    ]
    try:
        return from_frame(check_rows(rows, _end(users)))
    except InputError:
        for number, user in enumerate(users):
            _name_error(number, user)
        raise


def _name_error(number: int, user: UserRequest) -> None:
    """Check one user's visits alone, to say whose are wrong."""
    try:
        check_rows([{**visit, schema.USER_ID: user.user_id} for visit in user.visits], _end([user]))
    except RuleError as error:
        column = next((name for name in error.columns if name != schema.USER_ID), error.columns[0])
        raise RequestError(f"users[{number}].visits.{column}", error.cause) from None
    except InputError as error:
        raise RequestError(f"users[{number}].visits", error.cause) from None


def _end(users: Sequence[UserRequest]) -> datetime:
    # No visit may lie after the day to forecast, so that day is where the data end.
    return datetime.combine(max(user.date for user in users), time.min, tzinfo=UTC)


def _with_empty_users(histories: Dataset, users: int) -> Dataset:
    """Add the users that have no visits; ``histories`` names its users by their number."""
    lengths = np.zeros(users, dtype=np.int64)
    lengths[histories.user_ids.astype(np.int64)] = np.diff(histories.offsets)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return replace(histories, user_ids=np.arange(users).astype(np.str_), offsets=offsets)


def _path(location: tuple[int | str, ...]) -> str:
    """Spell pydantic's location as ``users[0].date``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "body"
