"""The serving image's process for the tests, and requests to it."""

from __future__ import annotations

import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from patience import patient

import visitcast
from visitcast.data import schema

CONTAINERS = Path(visitcast.__file__).parents[1]
JSON, JSON_LINES = "application/json", "application/jsonlines"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class Reply(NamedTuple):
    """An answer of the server."""

    status: int
    media_type: str
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; NaN and Infinity are none."""
        return json.loads(self.body, parse_constant=_no_constant)


class UnderWay:
    """A request whose head the application has read, and whose body is still to come."""

    def __init__(self, host: str, port: int, body: bytes) -> None:
        self._body = body
        self._connection = http.client.HTTPConnection(host, port, timeout=patient(60))
        self._connection.putrequest("POST", "/invocations")
        headers = {"Content-Type": JSON, "Content-Length": str(len(body)), "Expect": "100-continue"}
        for name, value in headers.items():
            self._connection.putheader(name, value)
        self._connection.endheaders()
        # Sent when the application asks for the body.
        interim = self._connection.sock.recv(len(CONTINUE), socket.MSG_WAITALL)
        assert interim == CONTINUE, interim

    def finish(self) -> Reply:
        """Send the body and read the answer."""
        self._connection.send(self._body)
        answer = self._connection.getresponse()
        return Reply(answer.status, answer.getheader("Content-Type", "").partition(";")[0], answer.read())


def wait_until_refused(host: str, port: int) -> None:
    """Wait until nobody takes connections at an address."""
    while True:
        try:
            socket.create_connection((host, port), timeout=patient(60)).close()
        except ConnectionError:
            return


class Server:
    """A serving process."""

    def __init__(self, root: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "visitcast", "serve"],
            cwd=CONTAINERS,
            env={
                **os.environ,
                "OPT_ML_DIR": str(root),
                "SAGEMAKER_BIND_TO_PORT": "0",
                "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # Read all the time: a full pipe would stop the server.
        threading.Thread(target=self._read, daemon=True).start()
        self.port = self.next_event("listening")["port"]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def next_event(self, name: str) -> dict[str, Any]:
        """Read the log up to the next event of a name."""
        while line := self._lines.get(timeout=patient(60)):
            event: dict[str, Any] = json.loads(line)
            if event["event"] == name:
                return event
        assert self.process.stderr is not None
        raise AssertionError(f"the server ended: {self.process.stderr.read()}")

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Send a request; header names take underscores for dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patient(60))
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Reply(answer.status, answer.getheader("Content-Type", "").partition(";")[0], answer.read())
        finally:
            connection.close()

    def post(self, body: bytes | dict[str, Any], content_type: str = JSON, **headers: str) -> Reply:
        """Send a request to ``/invocations``."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", "/invocations", data, Content_Type=content_type, **headers)

    def begin(self, body: bytes) -> UnderWay:
        """Send the head of a request to ``/invocations``; returns when the application waits for its body."""
        return UnderWay("127.0.0.1", self.port, body)

    def terminate(self) -> None:
        """Send SIGTERM; returns when the server takes no more connections."""
        self.process.terminate()
        wait_until_refused("127.0.0.1", self.port)

    def stop(self) -> tuple[int, str]:
        """End the process; its exit code and what it wrote to stderr."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr is not None
        err = self.process.stderr.read()
        return self.process.wait(timeout=patient(60)), err


@contextmanager
def running(root: Path, **environment: str) -> Iterator[Server]:
    """Run a server during the block."""
    server = Server(root, **environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def user_request(history: pd.DataFrame, user_id: str) -> dict[str, Any]:
    """One user of a request, for the day after the last visit."""
    visits = json.loads(history.drop(columns=[schema.USER_ID]).to_json(orient="records"))
    last = np.datetime64(visits[-1][schema.VISIT_DATE]) if visits else np.datetime64("2026-11-20")
    return {"user_id": user_id, "date": str(last + np.timedelta64(1, "D")), "visits": visits}
