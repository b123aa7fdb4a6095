"""The console as an ASGI application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console.data.athena import QueryFailedError
from console.data.stack import NotDeployedError
from console.pages import forecasts, lift, models, plans, runs
from console.pages.rendering import Settings, page
from console.security import Guard


def application(settings: Settings, port: int, token: str) -> Starlette:
    """Return the console.

    Parameters
    ----------
    settings : Settings
    port : int
        That it is served on.
    token : str
        Of the URL that opens it.
    """
    app = Starlette(
        routes=[
            Route("/", lambda _: RedirectResponse("/runs", 303)),
            Route("/runs", runs.index),
            Route("/runs/events", runs.index_events),
            Route("/start/{workflow}", runs.form),
            Route("/start/{workflow}", _changing(runs.start), methods=["POST"]),
            Route("/runs/{workflow}/{name}", runs.show),
            Route("/runs/{workflow}/{name}/events", runs.show_events),
            Route("/runs/{workflow}/{name}/stop", _changing(runs.stop), methods=["POST"]),
            Route("/runs/{workflow}/{name}/redrive", _changing(runs.redrive), methods=["POST"]),
            Route("/model", models.index),
            Route("/model/{number:int}/{decision}", _changing(models.decide), methods=["POST"]),
            Route("/forecasts", forecasts.index),
            Route("/plan", plans.index),
            Route("/plan/what-if", plans.changed),
            Route("/lift", lift.index),
            Mount("/static", StaticFiles(directory=Path(__file__).with_name("static"))),
        ],
        middleware=[Middleware(Guard, port=port, token=token)],
        exception_handlers={
            NotDeployedError: _not_deployed,
            QueryFailedError: _query_failed,
            ClientError: _refused,
            BotoCoreError: _unreachable,
            HTTPException: _http,
            ValueError: _bad_request,
        },
    )
    app.state.settings = settings
    return app


def _changing(endpoint: Any) -> Any:
    """Return an endpoint that does its work only if the console may change anything."""

    async def guarded(request: Request) -> Response:
        if not request.app.state.settings.allow_runs:
            raise HTTPException(
                403,
                "The console is read-only. Start it by `make console CONSOLE_ARGS=--allow-runs` to change anything.",
            )
        if endpoint is runs.start or endpoint is models.decide:
            answer: Response = await endpoint(request)
            return answer
        return await run_in_threadpool(endpoint, request)

    return guarded


def _failure(request: Request, status: int, headline: str, cause: str, remedy: str) -> Response:
    return page(request, "failure", status, headline=headline, cause=cause, remedy=remedy)


async def _not_deployed(request: Request, error: Exception) -> Response:
    return _failure(
        request,
        404,
        "There is no stack to show.",
        str(error),
        "Deploy it: on this machine by `make up` and `make demo`, on AWS by `sam deploy`. "
        "Or name another one with --stack-name.",
    )


async def _query_failed(request: Request, error: Exception) -> Response:
    return _failure(request, 502, "A query failed.", str(error), "Look for the query in Athena's history.")


async def _refused(request: Request, error: Any) -> Response:
    code = error.response["Error"]["Code"]
    status = 404 if code in ("ExecutionDoesNotExist", "InvalidArn") else 502
    return _failure(
        request,
        status,
        f"AWS answered: {code}.",
        str(error),
        "Check the name, and the permissions of your credentials.",
    )


async def _unreachable(request: Request, error: Exception) -> Response:
    return _failure(
        request,
        502,
        "AWS cannot be reached.",
        str(error),
        "Check your credentials and the region. A region on this machine is started by `make up`.",
    )


async def _http(request: Request, error: Any) -> Response:
    return _failure(request, error.status_code, str(error.detail), "", "")


async def _bad_request(request: Request, error: Exception) -> Response:
    return _failure(request, 400, "This request cannot be read.", str(error), "")
