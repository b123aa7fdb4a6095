"""The web application: ``/ping`` and ``/invocations``.

Plain ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html): two paths do not need a framework, whose
routing, request and response objects take a tenth of the time of a forecast.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from visitcast.serving import formats, logs
from visitcast.serving.batching import Batches
from visitcast.serving.bodies import Arriving, Bodies, Message, Receive, announced, gone
from visitcast.serving.errors import DisconnectedError, OverloadedError, RequestError
from visitcast.serving.formats import Format
from visitcast.serving.limits import Limits
from visitcast.serving.scoring import Question

Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

PING: Final = "/ping"
INVOCATIONS: Final = "/invocations"
_METHODS: Final = {PING: ("GET", "HEAD"), INVOCATIONS: ("POST",)}
OVERLOADED: Final = "Too many requests wait for their answers."
CLIENT_CLOSED_REQUEST: Final = 499
"""Status in the log of a request whose client has gone, as nginx has it; no status was sent."""
_PLAIN_TEXT: Final = "text/plain"
_PIECE_BYTES: Final = 256 * 1024
"""Of an answer; other requests have their turn between two pieces."""
_CLOSE: Final = (b"connection", b"close")


def application(batches: Batches, limits: Limits) -> Application:
    """Build the web application.

    Parameters
    ----------
    batches : Batches
        Answers requests.
    limits : Limits
        Largest request.
    """
    bodies = Bodies(limits)

    async def invocations(scope: Message, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        metrics: dict[str, float] = {"Invocations": 1, "Errors": 0}
        fields: dict[str, str | int] = {}
        headers = dict(scope["headers"])
        arriving = Arriving(receive)
        try:
            format_ = formats.of_request(_text(headers, b"content-type"))
            batches.require_room(announced(headers))
            body = await bodies.read(headers, arriving)
            metrics["BytesIn"] = len(body)
            answer = await batches.answer(Question(body, format_), partial(gone, receive))
            metrics |= {"Users": answer.users, "PriorUsers": answer.prior_users, "BytesOut": len(answer.body)}
            status = 200
            await _respond(send, status, answer.body, format_.value)
        except RequestError as error:
            status = error.status
            metrics["Errors"] = 1
            fields = {"field": error.field[:200], "reason": error.reason[:200]}
            too_long = (_CLOSE,) if status == 413 else ()
            await _refuse(send, status, {"field": error.field, "reason": error.reason}, *too_long)
        except OverloadedError as error:
            status = 503
            metrics["Errors"] = 1
            # SageMaker passes on the body, as ModelError's OriginalMessage, but not the header.
            told = {"reason": OVERLOADED, "retry_after_seconds": error.retry_after_s}
            await _refuse(send, status, told, (b"retry-after", str(error.retry_after_s).encode()))
        except DisconnectedError:
            status = CLIENT_CLOSED_REQUEST
            metrics["Errors"] = 1
        metrics["Latency"] = round((time.perf_counter() - started) * 1000, 3)
        logs.invocation(metrics, status=status, **fields)
        if status not in (200, CLIENT_CLOSED_REQUEST):
            await bodies.drop_rest(arriving)
            await send({"type": "http.response.body"})

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


async def _refuse(send: Send, status: int, error: dict[str, Any], *headers: tuple[bytes, bytes]) -> None:
    """Send an error; the answer does not end with it, so that the body may go on."""
    body = json.dumps({"error": error}).encode()
    await _respond(send, status, body, Format.JSON.value, *headers, ends=False)


async def _respond(
    send: Send, status: int, body: bytes, media_type: str, *headers: tuple[bytes, bytes], ends: bool = True
) -> None:
    described = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": described})
    view = memoryview(body)  # its parts are not copied
    for begin in range(0, max(len(body), 1), _PIECE_BYTES):
        end = begin + _PIECE_BYTES
        await send({"type": "http.response.body", "body": view[begin:end], "more_body": not ends or end < len(body)})
