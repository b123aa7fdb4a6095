"""The command line: ``python -m console``."""

from __future__ import annotations

import argparse
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from console.application import application
from console.pages.rendering import Settings
from console.security import ADDRESS

PORT = 4610


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the console until it is interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m console",
        description="Show a visitcast stack in the browser, by the usual settings of boto3: AWS_PROFILE, AWS_REGION, "
        "AWS_ENDPOINT_URL and so on.",
    )
    parser.add_argument("--stack-name", default="visitcast-dev", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=PORT, help="on 127.0.0.1; 0 for any free one (%(default)s)")
    parser.add_argument(
        "--allow-runs", action="store_true", help="allow to start and stop runs, and to approve models; else read-only"
    )
    parser.add_argument(
        "--schemas", type=Path, default=Path("statemachine"), help="folder of the inputs' JSON Schemas (%(default)s)"
    )
    options = parser.parse_args(arguments)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, options.port))
    except OSError as error:
        parser.exit(
            1, f'Cannot listen on port {options.port}: {error}. Choose another one with CONSOLE_ARGS="--port 4611".\n'
        )
    port, token = listener.getsockname()[1], secrets.token_urlsafe(24)
    app = application(Settings(options.stack_name, options.allow_runs, options.schemas), port, token)
    print(f"The console of {options.stack_name}: http://{ADDRESS}:{port}/?token={token}", flush=True)
    print(
        "It may start and stop runs and decide about models." if options.allow_runs else "It is read-only.",
        "Ctrl-C ends it.",
        flush=True,
    )
    # No access log: the first request has the token in it. Streams of events never end by themselves.
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, server_header=False, lifespan="off"
    )
    uvicorn.Server(config).run(sockets=[listener])
    return 0
