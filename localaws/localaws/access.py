"""Refuse requests of anybody but the user who runs the region.

The region checks no signature, and every page that a browser shows can send requests to 127.0.0.1. So a request is
refused that comes from a web page, or whose Host is a name that somebody else's DNS may lead here (DNS rebinding).
The paths that run programs or say what runs ask for the token of the region file, which only its user can read.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Iterable
from typing import Any, Final

TOKEN_HEADER: Final = "X-Localaws-Token"  # nosec B105 # the name of a header
CONTROL_PATHS: Final = ("/_localaws/", "/moto-api")
"""Of the region, and of moto, whose path can empty it."""
_LOCALHOST: Final = "localhost"


class OnlyItsUser:
    """WSGI middleware that answers 403 to everybody else.

    Parameters
    ----------
    app
        The application behind it.
    token
        What requests for `CONTROL_PATHS` must carry in the header ``X-Localaws-Token``.
    open_paths
        Paths below them that need no token.
    """

    def __init__(self, app: Any, token: str, *, open_paths: frozenset[str] = frozenset()) -> None:
        self.app, self.token, self.open_paths = app, token, open_paths

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        if refusal := self._refusal(environ):
            text = json.dumps({"message": refusal}).encode()
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
            # The body is left unread: what follows it on this connection would be taken for a request.
            start_response("403 Forbidden", [*headers, ("Connection", "close")])
            return [text]
        answer: Iterable[bytes] = self.app(environ, start_response)
        return answer

    def _refusal(self, environ: dict[str, Any]) -> str | None:
        # "none" is an address that the user has typed. https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
        if "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") != "none":
            return "The region answers no web page. Use an AWS SDK or the AWS command line."
        host = environ.get("HTTP_HOST", "")
        if not is_local(host):
            return f"The region is not {host[:100]!r}. Use the endpoint URL that `localaws env` prints."
        path = environ.get("PATH_INFO", "")
        if path.startswith(CONTROL_PATHS) and path not in self.open_paths:
            given = environ.get("HTTP_X_LOCALAWS_TOKEN", "")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                return f"Send the token of the region file, region.json, in the header {TOKEN_HEADER}."
        return None


def is_local(host: str) -> bool:
    """Return whether a Host header is an address or a name below ``localhost``, which no DNS server can redirect.

    >>> [is_local(host) for host in ("127.0.0.1:4599", "[::1]:4599", "bucket.localhost:4599", "LOCALHOST")]
    [True, True, True, True]
    >>> [is_local(host) for host in ("", "evil.example:4599", "127.0.0.1.evil.example", "localhost.evil.example")]
    [False, False, False, False]
    """
    name = host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
    name = name.strip("[]").removesuffix(".").lower()
    if name == _LOCALHOST or name.endswith(f".{_LOCALHOST}"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
