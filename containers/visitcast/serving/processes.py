"""Worker processes on one port, managed by gunicorn: https://gunicorn.org/design/.

Each computes on one core, and has a listening socket of its own. A worker that dies is replaced; on SIGTERM all finish
what they are answering.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from visitcast.serving import logs
from visitcast.serving.application import Application

STUCK_SECONDS: Final = 60
"""A worker whose event loop is blocked for this long is replaced; SageMaker has the same limit for a request."""


def run(load: Callable[[], Application], listeners: list[socket.socket], settings: dict[str, Any]) -> None:
    """Serve until SIGTERM.

    Parameters
    ----------
    load : callable
        Returns the web application; called in each worker.
    listeners : list of socket
        One for each worker, all of one port. They are closed here.
    settings : dict
        Of each worker's uvicorn.

    Raises
    ------
    SystemExit
        In a worker, when it ends; here, if the workers could not start.
    """
    master = os.getpid()
    try:
        _Arbiter(_Served(load, listeners, settings)).run()
    except SystemExit as end:
        if end.code or os.getpid() != master:
            raise


class _Served(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Settings and application in gunicorn's form."""

    def __init__(
        self, load: Callable[[], Application], listeners: list[socket.socket], settings: dict[str, Any]
    ) -> None:
        self.load = load
        self._settings = {
            # Closed by gunicorn when it stops, so that no connection is accepted and then dropped.
            "bind": [f"fd://{listener.detach()}" for listener in listeners],
            "workers": len(listeners),
            "worker_class": _Worker,
            "timeout": STUCK_SECONDS,
            "graceful_timeout": settings["timeout_graceful_shutdown"],
            "loglevel": "warning",
            "control_socket_disable": True,
            "pre_fork": _number,
        }
        self.uvicorn_settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """Starts and replaces workers."""

    def spawn_worker(self) -> Any:
        # A new process has the arbiter's handlers until it sets its own: a SIGTERM that came before would be lost.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """One process with an event loop."""

    def init_signals(self) -> None:
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def run(self) -> None:
        async def beat() -> None:
            self.notify()
            if os.getppid() != self.ppid:  # its manager was killed
                server.should_exit = True

        settings = {**self.app.uvicorn_settings, "callback_notify": beat, "timeout_notify": 1}
        own = self.sockets.pop(self.number)
        for of_another in self.sockets:
            of_another.sock.close()
        server = uvicorn.Server(uvicorn.Config(self.wsgi, **settings))
        logs.event("started", worker=self.number, pid=os.getpid())
        server.run(sockets=[own.sock])


def _number(arbiter: Arbiter, worker: _Worker) -> None:
    """Assign the lowest free worker index, so that a replacement inherits its predecessor's socket."""
    worker.number = min(set(range(arbiter.num_workers)) - {other.number for other in arbiter.WORKERS.values()})
