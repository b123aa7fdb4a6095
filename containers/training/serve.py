"""The endpoint: ``/ping`` and ``/invocations`` on the port that SageMaker names."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from training import request
from visitcast import paths
from visitcast.forecasting import bundle, forecaster
from visitcast.schema import SCHEMA_VERSION

PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
DEFAULT_PORT = 8080
JSON_LINES = "application/jsonlines"
MODEL_NAME = "visitcast"
WARM_UP = b'{"users": [{"user_id": "warm-up", "date": "2026-01-05", "visits": []}]}'


def main() -> None:
    """Load the model and answer requests until SIGTERM."""
    app = application(bundle.load(paths.model()))
    # Bound before the line below is printed: whoever reads it can connect. Port 0 takes any free one.
    with socket.create_server(("0.0.0.0", int(os.environ.get(PORT_VARIABLE) or DEFAULT_PORT))) as listener:  # noqa: S104 - called from outside the container
        print(f"listening on port {listener.getsockname()[1]}", flush=True)
        # On SIGTERM uvicorn finishes the requests under way, then raises the signal again for the contract's handler.
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        asyncio.run(server.serve(sockets=[listener]))


def application(fitted: bundle.Bundle) -> Starlette:
    """Build the web application around a fitted model."""

    async def ping(_: Request) -> Response:
        return Response(status_code=200)

    async def invocations(http: Request) -> Response:
        body = await http.body()
        try:
            if http.headers.get("content-type", "").startswith(JSON_LINES):
                return Response(await run_in_threadpool(answer_lines, fitted, body), media_type=JSON_LINES)
            return JSONResponse(await run_in_threadpool(answer, fitted, body))
        except request.RequestError as error:
            return JSONResponse({"error": {"field": error.field, "reason": error.reason}}, status_code=400)

    answer(fitted, WARM_UP)
    return Starlette(routes=[Route("/ping", ping), Route("/invocations", invocations, methods=["POST"])])


def answer_lines(fitted: bundle.Bundle, body: bytes) -> bytes:
    """Answer JSON Lines, one user a line, as a batch transform sends them: as many lines, in the same order.

    Raises
    ------
    RequestError
        A line is not valid.
    """
    lines = body.splitlines()
    answers = []
    for start in range(0, len(lines), request.MAX_USERS):
        part = answer(fitted, b'{"users": [' + b",".join(lines[start : start + request.MAX_USERS]) + b"]}")
        answers += [json.dumps(forecast, separators=(",", ":")) + "\n" for forecast in part["forecasts"]]
    return "".join(answers).encode()


def answer(fitted: bundle.Bundle, body: bytes) -> dict[str, Any]:
    """Answer one request.

    Raises
    ------
    RequestError
        The request is not valid.
    """
    wanted = request.parse(body)
    dataset = request.dataset_of(wanted)
    forecast = forecaster.forecast(fitted, dataset, dataset.offsets[1:] - 1)
    best_hour = forecast.best_hour
    return {
        "forecasts": [
            {
                "user_id": user.user_id,
                "date": user.date.isoformat(),
                "first_visit_hour": forecast.first_visit_hour[number].astype(np.float64).tolist(),
                "visit_hour": forecast.visit_hour[number].astype(np.float64).tolist(),
                "best_hour": int(best_hour[number]),
                "confidence": float(forecast.visit_hour[number, best_hour[number]]),
                "source": "model" if forecast.from_model[number] else "prior",
            }
            for number, user in enumerate(wanted.users)
        ],
        "model": {
            "name": MODEL_NAME,
            "schema_version": SCHEMA_VERSION,
            "trained_at": fitted.metadata.get("trained_at"),
        },
    }
