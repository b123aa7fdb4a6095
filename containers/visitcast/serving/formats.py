"""Media types of requests and answers."""

from __future__ import annotations

from enum import Enum

from visitcast.serving.errors import RequestError


class Format(Enum):
    """How users and forecasts are written; the value is the media type of an answer."""

    JSON = "application/json"
    JSON_LINES = "application/jsonlines"
    CSV = "text/csv"


_MEDIA_TYPES = {
    "application/json": Format.JSON,
    "application/jsonlines": Format.JSON_LINES,
    "application/jsonl": Format.JSON_LINES,
    "application/x-ndjson": Format.JSON_LINES,
    "text/csv": Format.CSV,
}
KNOWN = ", ".join(_MEDIA_TYPES)


def of_request(content_type: str | None) -> Format:
    """Format that a ``Content-Type`` names; JSON without one.

    Raises
    ------
    RequestError
        415: the type is not known.
    """
    known = _MEDIA_TYPES.get(_media_type(content_type or Format.JSON.value))
    if known is None:
        raise RequestError("Content-Type", f"It is {content_type!r}; known are {KNOWN}.", status=415)
    return known


def of_answer(accept: str | None, request: Format) -> Format:
    """Format that an ``Accept`` prefers; the request's own where any will do.

    Raises
    ------
    RequestError
        406: none of the types is known.
    """
    if not accept:
        return request
    for entry in sorted(accept.split(","), key=_quality, reverse=True):
        media_type = _media_type(entry)
        if media_type == "*/*":
            return request
        if media_type in _MEDIA_TYPES and _quality(entry) > 0:
            return _MEDIA_TYPES[media_type]
    raise RequestError("Accept", f"It is {accept!r}; known are {KNOWN}.", status=406)


def _media_type(entry: str) -> str:
    return entry.partition(";")[0].strip().lower()


def _quality(entry: str) -> float:
    for parameter in entry.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
