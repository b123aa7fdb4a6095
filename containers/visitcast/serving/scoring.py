"""Answers requests: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset
from visitcast.data.schema import SCHEMA_VERSION
from visitcast.forecasting.forecaster import Forecast, forecast_last
from visitcast.model.bundle import Bundle
from visitcast.serving import answers, json_requests
from visitcast.serving.errors import RequestError
from visitcast.serving.formats import Format
from visitcast.serving.histories import as_of, to_dataset
from visitcast.serving.json_requests import Locate, User, locate_in_json
from visitcast.serving.limits import Limits

MODEL_NAME = "visitcast"
_READERS = {
    Format.JSON: json_requests.read_json,
    Format.JSON_LINES: json_requests.read_lines,
}


@dataclass(frozen=True)
class Question:
    """A request's body and its format, which is the answer's too."""

    body: bytes
    format: Format


@dataclass(frozen=True)
class Answer:
    """An answer's body, the number of users in it, and how many of them the prior alone answers."""

    body: bytes
    users: int
    prior_users: int


def answer(fitted: Bundle, limits: Limits, questions: Sequence[Question]) -> list[Answer | RequestError]:
    """Forecast the users of all questions together, and write an answer for each question.

    Parameters
    ----------
    fitted : Bundle
        Model.
    limits : Limits
        Of each request and each answer.
    questions : sequence of Question
        Requests.

    Returns
    -------
    list of Answer or RequestError
        In the order asked; an error if a request is not valid or its answer would be too large.
    """
    read = [_read(question, limits) for question in questions]
    try:
        asked = _together(read)
    except RequestError:
        # One request is invalid: check them one by one to name the field in that request.
        read = [_checked(one) for one in read]
        asked = _together(read)
    forecast = forecast_last(fitted, asked.dataset, asked.as_of)
    first = 0
    answers_: list[Answer | RequestError] = []
    for question, one in zip(questions, read, strict=True):
        if isinstance(one, RequestError):
            answers_.append(one)
            continue
        part = slice(first, first + len(one.users))
        first += len(one.users)
        its = Forecast(
            forecast.first_visit_hour[part],
            forecast.visit_hour[part],
            forecast.source[part],
            forecast.visit_probability[part],
        )
        answers_.append(_written(its, one.users, model_of(fitted), question.format, limits))
    return answers_


@dataclass(frozen=True)
class _Read:
    """The users of a request, and how to name a field in it."""

    users: Sequence[User]
    locate: Locate


def _read(question: Question, limits: Limits) -> _Read | RequestError:
    try:
        return _Read(*_READERS[question.format](question.body, limits.users))
    except RequestError as error:
        return error


def _checked(read: _Read | RequestError) -> _Read | RequestError:
    if isinstance(read, _Read):
        try:
            _asked(read.users, read.locate)
        except RequestError as error:
            return error
    return read


class _Asked(NamedTuple):
    """What a forecast is made from."""

    dataset: Dataset
    as_of: NDArray[np.int64]


def _together(read: Sequence[_Read | RequestError]) -> _Asked:
    users = [user for one in read if isinstance(one, _Read) for user in one.users]
    return _asked(users, locate_in_json(users))


def _asked(users: Sequence[User], locate: Locate) -> _Asked:
    dataset = to_dataset(users, locate)
    return _Asked(dataset, as_of(users, dataset))


def _written(
    forecast: Forecast, users: Sequence[User], model: dict[str, Any], format_: Format, limits: Limits
) -> Answer | RequestError:
    written = answers.write(
        forecast, [user["user_id"] for user in users], [user["date"] for user in users], model, format_
    )
    if limits.answer_bytes is not None and len(written) > limits.answer_bytes:
        reason = (
            f"The answer would have {len(written):,} bytes; {limits.answer_bytes:,} are allowed. Ask for fewer users."
        )
        return RequestError("users", reason, status=413)
    return Answer(written, len(users), int((forecast.source == schema.PRIOR).sum()))


def model_of(fitted: Bundle) -> dict[str, Any]:
    """Describe the model that made the forecasts."""
    return {
        "name": MODEL_NAME,
        "schema_version": SCHEMA_VERSION,
        "trained_at": fitted.metadata.get("trained_at"),
    }
