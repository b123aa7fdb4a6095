"""The server: load the model, listen, answer until SIGTERM."""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import uvicorn

from visitcast import contract, paths
from visitcast.data import schema
from visitcast.forecasting import probing
from visitcast.model import bundle
from visitcast.serving import cores, limits, logs, scoring
from visitcast.serving.application import Application, application
from visitcast.serving.batching import Batches
from visitcast.serving.formats import Format

PORT_VARIABLE: Final = "SAGEMAKER_BIND_TO_PORT"
DEFAULT_PORT: Final = 8080
FORECASTER: Final = "VISITCAST_FORECASTER"
"""``baseline``: the model's histogram alone forecasts. Set for transforms by a model that the gate rejected."""
HOST_VARIABLE: Final = "SAGEMAKER_BIND_TO_HOST"
"""Not SageMaker's; the local region sets it, where the server runs without a container around it."""
DEFAULT_HOST: Final = "0.0.0.0"  # nosec B104 # called from outside the container
WARM_UP: Final = scoring.Question(
    b'{"users": [{"user_id": "warm-up", "date": "2026-01-05", "visits": []}]}', Format.JSON
)
_UVICORN: Final[dict[str, Any]] = {
    "loop": "uvloop",
    "http": "httptools",
    "ws": "none",
    "lifespan": "off",
    "interface": "asgi3",
    "proxy_headers": False,
    "server_header": False,
    "access_log": False,
    "log_level": "warning",
    "timeout_graceful_shutdown": 25,  # SageMaker kills a container 30 s after SIGTERM
}


def main(prepare_worker: Callable[[], None] | None = None) -> None:
    """Serve the model of SageMaker's model folder.

    Parameters
    ----------
    prepare_worker : callable, optional
        Called in every worker, which then loads its own copy of the model; needed by a library that starts threads,
        which a fork does not copy. Without it the model is loaded once and all workers share its memory.
    """
    workers = cores.workers()
    load = partial(_loaded_after, prepare_worker) if prepare_worker else partial(_same, load_application())
    # Bound before the line below is printed, so that a reader of the log can connect. Port 0 takes any free one.
    address = (os.environ.get(HOST_VARIABLE) or DEFAULT_HOST, int(os.environ.get(PORT_VARIABLE) or DEFAULT_PORT))
    listeners = _listeners(address, workers)
    logs.event("listening", port=listeners[0].getsockname()[1], workers=workers)
    if workers == 1:
        with listeners[0] as listener:
            # On SIGTERM uvicorn finishes the requests under way, then raises it again for the contract's handler.
            uvicorn.Server(uvicorn.Config(load(), **_UVICORN)).run(sockets=[listener])
    else:
        from visitcast.serving import processes  # gunicorn, which one worker does without

        processes.run(load, listeners, _UVICORN)
        raise contract.Terminated


def _listeners(address: tuple[str, int], number: int) -> list[socket.socket]:
    """Open sockets of one port, among which the kernel distributes connections (Linux, ``SO_REUSEPORT``).

    With one shared socket the first worker to wake would accept all that wait, and clients keep their connections.
    """
    listeners: list[socket.socket] = []
    while len(listeners) < number:
        listeners.append(socket.create_server(address, reuse_port=number > 1))
        address = listeners[0].getsockname()
    return listeners


def _same(made: Application) -> Application:
    return made


def _loaded_after(prepare: Callable[[], None]) -> Application:
    prepare()
    return load_application()


def load_application() -> Application:
    """Load the model, check that it forecasts what it should, and make it ready for its first request.

    Raises
    ------
    InputError
        The model is not whole, or does not forecast what it forecast when it was trained.
    """
    started = time.perf_counter()
    fitted = bundle.load(paths.model())
    probing.require_probe(fitted)
    fitted = replace(fitted, baseline_only=os.environ.get(FORECASTER) == schema.BASELINE)
    allowed = limits.from_environment()
    score = partial(scoring.answer, fitted, allowed)
    score([WARM_UP])
    # Objects that exist now stay: the garbage collector need not scan them, so forked processes need not copy their
    # pages.
    gc.freeze()
    logs.event("loaded", model=scoring.model_of(fitted), seconds=round(time.perf_counter() - started, 3))
    return application(Batches(score, allowed.are_of_an_endpoint), allowed)
