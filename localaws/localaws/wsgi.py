"""What the middleware of the region reads of a request before moto does."""

from __future__ import annotations

import io
import re
from typing import Any, NamedTuple


class Scope(NamedTuple):
    """The credential scope of a signed request: access key id, region and service, as the signature names it."""

    key: str
    region: str
    service: str


def scope(environ: dict[str, Any]) -> Scope | None:
    """Return the scope that a request is signed for. Return None if it is not signed in its header."""
    found = re.search(r"Credential=([^/]+)/[^/]+/([^/]+)/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    return Scope(*found.groups()) if found else None


def read_body(environ: dict[str, Any]) -> bytes:
    """Return the body of a request and leave it readable for the application."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body
