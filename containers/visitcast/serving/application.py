"""The web application: ``/ping`` and ``/invocations``.

Plain ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html): two paths do not need a framework, whose
routing, request and response objects take a tenth of the time of a forecast.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from visitcast.serving import formats, logs
from visitcast.serving.batching import Batches
from visitcast.serving.errors import RequestError
from visitcast.serving.formats import Format
from visitcast.serving.limits import Limits
from visitcast.serving.scoring import Question

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

PING: Final = "/ping"
INVOCATIONS: Final = "/invocations"
_METHODS: Final = {PING: ("GET", "HEAD"), INVOCATIONS: ("POST",)}
_PLAIN_TEXT: Final = "text/plain"


def application(batches: Batches, limits: Limits) -> Application:
    """Build the web application.

    Parameters
    ----------
    batches : Batches
        Answers requests.
    limits : Limits
        Largest request.
    """

    async def invocations(scope: Message, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        metrics: dict[str, float] = {"Invocations": 1, "Errors": 0}
        fields: dict[str, str | int] = {}
        headers = dict(scope["headers"])
        try:
            format_ = formats.of_request(_text(headers, b"content-type"))
            body = await _body(headers, receive, limits.body_bytes)
            metrics["BytesIn"] = len(body)
            answer = await batches.answer(Question(body, format_))
            metrics |= {"Users": answer.users, "PriorUsers": answer.prior_users, "BytesOut": len(answer.body)}
            status, written, media_type = 200, answer.body, format_.value
        except RequestError as error:
            metrics["Errors"] = 1
            fields = {"field": error.field[:200], "reason": error.reason[:200]}
            status, written, media_type = error.status, _refusal(error), Format.JSON.value
        await _respond(send, status, written, media_type)
        metrics["Latency"] = round((time.perf_counter() - started) * 1000, 3)
        logs.invocation(metrics, status=status, **fields)

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        path = scope["path"]
        allowed = _METHODS.get(path)
        if allowed is None:
            await _respond(send, 404, b"Not Found", _PLAIN_TEXT)
        elif scope["method"] not in allowed:
            await _respond(send, 405, b"Method Not Allowed", _PLAIN_TEXT, (b"allow", ", ".join(allowed).encode()))
        elif path == PING:
            await _respond(send, 200, b"", _PLAIN_TEXT)
        else:
            await invocations(scope, receive, send)

    return serve


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _refusal(error: RequestError) -> bytes:
    return json.dumps({"error": {"field": error.field, "reason": error.reason}}).encode()


async def _body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """Read a body up to the limit.

    Raises
    ------
    RequestError
        413: the body is larger.
    """
    too_large = RequestError("body", f"It is larger than {limit:,} bytes.", status=413)
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    chunks: list[bytes] = []
    length = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("body", "The connection was closed before its end.")
        chunk = message.get("body", b"")
        length += len(chunk)
        if length > limit:
            raise too_large
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


async def _respond(send: Send, status: int, body: bytes, media_type: str, *headers: tuple[bytes, bytes]) -> None:
    described = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": described})
    await send({"type": "http.response.body", "body": body})
