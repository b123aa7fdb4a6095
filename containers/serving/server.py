"""The process: load the model, listen, answer until SIGTERM."""

from __future__ import annotations

import os
import socket
import time
from functools import partial

import uvicorn

from serving import limits, logs, scoring
from serving.application import application
from serving.batching import Batches
from serving.formats import Format
from visitcast import paths
from visitcast.forecasting import bundle

PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
DEFAULT_PORT = 8080
DRAIN_SECONDS = 25
"""SageMaker kills a container 30 s after SIGTERM."""
WARM_UP = scoring.Question(
    b'{"users": [{"user_id": "warm-up", "date": "2026-01-05", "visits": []}]}', Format.JSON, Format.JSON
)


def main() -> None:
    """Serve the model of SageMaker's model folder."""
    started = time.perf_counter()
    fitted = bundle.load(paths.model())
    allowed = limits.from_environment()
    score = partial(scoring.answer, fitted, allowed)
    score([WARM_UP])
    logs.event("loaded", model=scoring.model_of(fitted), seconds=round(time.perf_counter() - started, 3))
    # Bound before the line below is printed: whoever reads it can connect. Port 0 takes any free one.
    with socket.create_server(("0.0.0.0", int(os.environ.get(PORT_VARIABLE) or DEFAULT_PORT))) as listener:  # nosec B104 # called from outside the container
        logs.event("listening", port=listener.getsockname()[1])
        config = uvicorn.Config(
            application(Batches(score), allowed),
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        # On SIGTERM uvicorn finishes the requests under way, then raises the signal again for the contract's handler.
        uvicorn.Server(config).run(sockets=[listener])
