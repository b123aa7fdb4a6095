"""Answers one request: bytes in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serving import answers, csv_requests, json_requests
from serving.errors import RequestError
from serving.formats import Format
from serving.histories import to_dataset
from serving.limits import Limits
from visitcast.forecasting.bundle import Bundle
from visitcast.forecasting.forecaster import forecast_last
from visitcast.schema import SCHEMA_VERSION

MODEL_NAME = "visitcast"
_READERS = {
    Format.JSON: json_requests.read_json,
    Format.JSON_LINES: json_requests.read_lines,
    Format.CSV: csv_requests.read_csv,
}


@dataclass(frozen=True)
class Answer:
    """An answer's body, and how many users it forecasts and how many of them by the prior alone."""

    body: bytes
    users: int
    prior_users: int


def answer(fitted: Bundle, body: bytes, given: Format, wanted: Format, limits: Limits) -> Answer:
    """Read users, forecast them and write the forecasts.

    Parameters
    ----------
    fitted : Bundle
        Model.
    body : bytes
        Request.
    given, wanted : Format
        Of the request and of the answer.
    limits : Limits
        Of both.

    Raises
    ------
    RequestError
        The request is not valid, or its answer would be too large.
    """
    users, locate = _READERS[given](body)
    if limits.users is not None and len(users) > limits.users:
        raise RequestError("users", f"{len(users):,} users; one request may hold {limits.users:,}.", status=413)
    forecast = forecast_last(fitted, to_dataset(users, locate))
    written = answers.write(
        forecast, [user["user_id"] for user in users], [user["date"] for user in users], model_of(fitted), wanted
    )
    if limits.answer_bytes is not None and len(written) > limits.answer_bytes:
        reason = (
            f"The answer would have {len(written):,} bytes; {limits.answer_bytes:,} are allowed. Ask for fewer users."
        )
        raise RequestError("users", reason, status=413)
    return Answer(written, len(users), int((~forecast.from_model).sum()))


def model_of(fitted: Bundle) -> dict[str, Any]:
    """Say what made the forecasts."""
    return {
        "name": MODEL_NAME,
        "schema_version": SCHEMA_VERSION,
        "trained_at": fitted.metadata.get("trained_at"),
    }
