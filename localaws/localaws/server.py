"""The region's server: moto's WSGI application with the patches of localaws."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import psutil

from localaws import processes
from localaws.access import OnlyItsUser
from localaws.interruptions import heeded
from localaws.region_file import RegionFile
from localaws.services import Services
from localaws.settings import Settings
from localaws.wsgi import read_body

WORK_FOLDERS = ("functions", "invocations", "jobs", "endpoints", "athena", "builds")
"""Folders in the home that are removed when the region stops."""


POLL_SECONDS = 0.05
"""How often the server looks whether it is to end."""

OWNER_SECONDS = 1.0
"""How often the server looks whether its owner has ended."""


REMOVERS = 16
REMOVAL_ATTEMPTS = 10
"""A job that was just stopped may still write into a folder while it is removed."""


def listen(port: int) -> socket.socket:
    """Open the socket of a region; port 0 is any free one. Raises OSError if the port cannot be used."""
    return socket.create_server(("127.0.0.1", port), backlog=128)


def serve(settings: Settings, listener: socket.socket, owner: psutil.Process | None = None) -> NoReturn:
    """Serve a region, then stop every process that it started and remove its folders.

    It ends with SIGTERM, SIGINT or SIGHUP, or when the process `owner` has ended, however that happened. The process
    ends with this function.
    """
    settings = replace(settings, port=listener.getsockname()[1])
    stop = threading.Event()
    for number in heeded():
        signal.signal(number, lambda *_: stop.set())

    from werkzeug.serving import make_server

    configure_moto(settings)
    token = secrets.token_urlsafe()
    _remove_work_folders(settings)  # left by a region that was killed
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    quiet_logs()
    server: Any = make_server(
        "127.0.0.1",
        settings.port,
        assemble(settings, token),
        threaded=True,
        request_handler=MotoRequestHandler,
        fd=listener.fileno(),
    )
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True, name="server").start()
    region_file = RegionFile(settings.home)
    region_file.write(settings, os.getpid(), token)
    print(f"The region {settings.region} is at {settings.endpoint_url}", flush=True)
    try:
        while not stop.wait(OWNER_SECONDS if owner else None):
            if owner and not owner.is_running():
                break
    finally:
        region_file.remove(os.getpid())
        server.shutdown()
        processes.close()
        _remove_work_folders(settings)
    sys.stdout.flush()
    # Not by returning: after a workflow the interpreter takes seconds to free moto's models one by one, up to 20 on a
    # busy machine, and threads of jobs and executions still run.
    os._exit(0)


def _remove_work_folders(settings: Settings) -> None:
    for folder in [settings.home / name for name in WORK_FOLDERS]:
        for _ in range(REMOVAL_ATTEMPTS):
            _remove(folder)
            if not folder.exists():
                break
            time.sleep(POLL_SECONDS)


def _remove(folder: Path) -> None:
    """Remove a folder, its files side by side: each may wait for the disk, which took 20 s on a busy machine."""
    with ThreadPoolExecutor(REMOVERS) as pool:
        list(pool.map(_remove_files, [name for name, _, _ in os.walk(folder)]))
    shutil.rmtree(folder, ignore_errors=True)


def _remove_files(folder: str) -> None:
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if not entry.is_dir(follow_symlinks=False):
                Path(entry).unlink()


def quiet_logs() -> None:
    """Keep requests out of the log, and failures that are in an execution's history anyway."""
    for name, level in (
        ("werkzeug", logging.ERROR),
        ("moto.stepfunctions.parser.asl.component.eval_component", logging.CRITICAL),
        ("samtranslator.metrics.metrics", logging.ERROR),
    ):
        logging.getLogger(name).setLevel(level)


def configure_moto(settings: Settings) -> None:
    """Set the environment variables that moto reads. Call this before moto is imported."""
    os.environ.update(
        settings.client_environment(),
        MOTO_ACCOUNT_ID=settings.account_id,
        MOTO_PORT=str(settings.port),  # moto's interpreter of state machines calls this server
    )
    from moto.core.config import default_user_config

    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    default_user_config["lambda"] = {"use_docker": False}


def assemble(settings: Settings, token: str) -> Any:
    """Return the WSGI application: moto's, behind the middleware of localaws. The token opens its control paths."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    from localaws import iam_record
    from localaws.api_model.requests import RequestCheck
    from localaws.cloudformation import custom_resource
    from localaws.faults import FaultInjector
    from localaws.iam_record.requests import CallRecorder
    from localaws.patches import apply_all, requests

    apply_all(requests.patches())
    services = Services(settings)
    iam_record.active.open(settings.home)
    # As on AWS a caller is known first, and a request that is not valid goes no further.
    application = CallRecorder(RequestCheck(FaultInjector(DomainDispatcherApplication(services.application))), settings)
    threading.Thread(target=services.prepare_all, daemon=True, name="preparation").start()
    own = OwnPaths(
        application,
        {"/_localaws/health": _health, custom_resource.RESPONSE_PATH: custom_resource.receive},
    )
    # As on AWS a ResponseURL is enough to answer: its request id is known to the function alone, and counts once.
    return OnlyItsUser(own, token, open_paths=frozenset({custom_resource.RESPONSE_PATH}))


Answer = tuple[int, Any]


def _health(method: str, query: str, body: bytes) -> Answer:
    del method, query, body
    return 200, {"status": "running", "pid": os.getpid()}


class OwnPaths:
    """WSGI middleware that answers requests for paths of localaws itself."""

    def __init__(self, app: Any, paths: dict[str, Callable[[str, str, bytes], Answer]]) -> None:
        self.app, self.paths = app, paths

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        handler = self.paths.get(environ.get("PATH_INFO", ""))
        if handler is None:
            answer: Iterable[bytes] = self.app(environ, start_response)
            return answer
        status, document = handler(environ["REQUEST_METHOD"], environ.get("QUERY_STRING", ""), read_body(environ))
        text = json.dumps(document).encode()
        start_response(
            f"{status} {'OK' if status < 300 else 'Error'}",
            [("Content-Type", "application/json"), ("Content-Length", str(len(text)))],
        )
        return [text]
