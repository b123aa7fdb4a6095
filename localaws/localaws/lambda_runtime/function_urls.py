"""Function URLs: an HTTP request becomes an event, and what the function returns becomes the answer.

Event and answer have the payload format 2.0:
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote
from uuid import uuid4

PREFIX = "/_localaws/function-urls/"
LONGEST_BODY = 6 * 1024 * 1024
"""Bytes of a request (Lambda's quota for a synchronous invocation)."""
TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
"""Bodies of these types reach the function as text, all others in base64."""

Answer = tuple[int, list[tuple[str, str]], bytes]


class FunctionUrls:
    """WSGI middleware that serves the function URLs of the region."""

    def __init__(self, app: Any, find: Callable[[str], Callable[[bytes], tuple[bytes, bool]] | None]) -> None:
        self.app, self._find = app, find

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        path: str = environ.get("PATH_INFO", "")
        if not path.startswith(PREFIX):
            passed_on: Iterable[bytes] = self.app(environ, start_response)
            return passed_on
        status, headers, body = self._answer(environ, path.removeprefix(PREFIX))
        start_response(f"{status} {phrase(status)}", [*headers, ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: dict[str, Any], path: str) -> Answer:
        url_id, _, rest = path.partition("/")
        invoke = self._find(url_id)
        if invoke is None:
            return _message(HTTPStatus.FORBIDDEN, "Forbidden")
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > LONGEST_BODY:
            return _message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request entity too large")
        payload, failed = invoke(json.dumps(event(environ, url_id, f"/{rest}", length)).encode())
        return _message(HTTPStatus.BAD_GATEWAY, "Internal Server Error") if failed else response(payload)


def event(environ: dict[str, Any], url_id: str, path: str, length: int) -> dict[str, Any]:
    """Return the event that a request amounts to."""
    now = dt.datetime.now(dt.UTC)
    headers = dict(_headers(environ))
    query = environ.get("QUERY_STRING", "")
    body = environ["wsgi.input"].read(length)
    is_text = headers.get("content-type", "text/").startswith(TEXT_TYPES)
    found: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": quote(path),
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": url_id,
            "domainName": environ.get("HTTP_HOST", ""),
            "domainPrefix": url_id,
            "http": {
                "method": environ["REQUEST_METHOD"],
                "path": quote(path),
                "protocol": environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
                "sourceIp": environ.get("REMOTE_ADDR", "127.0.0.1"),
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": bool(body) and not is_text,
    }
    if parameters := parse_qs(query, keep_blank_values=True):
        found["queryStringParameters"] = {name: ",".join(values) for name, values in parameters.items()}
    if body:
        found["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    return found


def response(payload: bytes) -> Answer:
    """Return what a function's result amounts to; without a status code the whole result is the body."""
    result = json.loads(payload)
    if not isinstance(result, dict) or "statusCode" not in result:
        return HTTPStatus.OK, [("Content-Type", "application/json")], payload
    text = result.get("body") or ""
    body = base64.b64decode(text) if result.get("isBase64Encoded") else str(text).encode()
    headers = {"content-type": "application/json"}
    headers |= {str(name).lower(): str(value) for name, value in (result.get("headers") or {}).items()}
    cookies = [("set-cookie", str(cookie)) for cookie in result.get("cookies") or []]
    return int(result["statusCode"]), [*headers.items(), *cookies], body


def _headers(environ: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name.removeprefix("HTTP_").replace("_", "-").lower(), value
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            yield name.replace("_", "-").lower(), environ[name]


def _message(status: int, text: str) -> Answer:
    return status, [("Content-Type", "application/json")], json.dumps({"Message": text}).encode()


def phrase(status: int) -> str:
    """Return the words of a status line."""
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
