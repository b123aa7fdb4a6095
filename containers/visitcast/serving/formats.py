"""Media types of requests; an answer has the type of its request."""

from __future__ import annotations

from enum import Enum

from visitcast.serving.errors import RequestError


class Format(Enum):
    """Format of a request and its answer; the value is the media type of the answer."""

    JSON = "application/json"
    JSON_LINES = "application/jsonlines"


_MEDIA_TYPES = {
    "application/json": Format.JSON,
    "application/jsonlines": Format.JSON_LINES,
    "application/jsonl": Format.JSON_LINES,
    "application/x-ndjson": Format.JSON_LINES,
}


def of_request(content_type: str | None) -> Format:
    """Return the format that a ``Content-Type`` names; JSON without one.

    Raises
    ------
    RequestError
        415: the type is not known.
    """
    media_type = (content_type or Format.JSON.value).partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        known = ", ".join(_MEDIA_TYPES)
        raise RequestError("Content-Type", f"It is {content_type!r}; known are {known}.", status=415)
    return _MEDIA_TYPES[media_type]
