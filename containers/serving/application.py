"""The web application: ``/ping`` and ``/invocations``."""

from __future__ import annotations

import json
import time

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from serving import formats, logs
from serving.batching import Batches
from serving.errors import RequestError
from serving.formats import Format
from serving.limits import Limits
from serving.scoring import Question


def application(batches: Batches, limits: Limits) -> Starlette:
    """Build the web application.

    Parameters
    ----------
    batches : Batches
        Answers requests in threads, so that ``/ping`` answers meanwhile.
    limits : Limits
        Largest request.
    """

    async def ping(_: Request) -> Response:
        return Response(status_code=200)

    async def invocations(http: Request) -> Response:
        started = time.perf_counter()
        metrics: dict[str, float] = {"Invocations": 1, "Errors": 0}
        fields: dict[str, str | int] = {}
        try:
            given = formats.of_request(http.headers.get("content-type"))
            wanted = formats.of_answer(http.headers.get("accept"), given)
            body = await _body(http, limits.body_bytes)
            metrics["BytesIn"] = len(body)
            answer = await batches.answer(Question(body, given, wanted))
            metrics |= {"Users": answer.users, "PriorUsers": answer.prior_users, "BytesOut": len(answer.body)}
            response = Response(answer.body, media_type=wanted.value)
        except RequestError as error:
            metrics["Errors"] = 1
            fields = {"field": error.field[:200], "reason": error.reason[:200]}
            response = _refusal(error)
        metrics["Latency"] = round((time.perf_counter() - started) * 1000, 3)
        logs.invocation(metrics, status=response.status_code, **fields)
        return response

    return Starlette(routes=[Route("/ping", ping), Route("/invocations", invocations, methods=["POST"])])


def _refusal(error: RequestError) -> Response:
    content = json.dumps({"error": {"field": error.field, "reason": error.reason}})
    return Response(content, error.status, media_type=Format.JSON.value)


async def _body(http: Request, limit: int) -> bytes:
    """Read a body, and no more of it than is allowed.

    Raises
    ------
    RequestError
        413: it is larger.
    """
    too_large = RequestError("body", f"It is larger than {limit:,} bytes.", status=413)
    announced = http.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    chunks = bytearray()
    try:
        async for chunk in http.stream():
            chunks += chunk
            if len(chunks) > limit:
                raise too_large
    except ClientDisconnect:
        raise RequestError("body", "The connection was closed before its end.") from None
    return bytes(chunks)
