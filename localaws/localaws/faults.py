"""Faults on demand: POST /_localaws/faults orders a fault for the calls, jobs and queries that follow.

There are four kinds of fault, each a JSON object:

- ``{"service", "operation", "error", "message", "status"}`` answers matching API calls with this error.
- ``{"image", "argv"}`` runs this command in place of the image's.
- ``{"service": "athena", "hold": true}`` keeps a query running until it is stopped or the faults are removed.
- ``{"interrupt": "text"}`` takes the instance of a managed spot training job away when its log contains the text.

All have ``times`` (how often, 1), ``after`` (how many matches to let pass first, 0) and ``match`` (a text that the
request, the name of the job or endpoint, its arguments, or the query must contain).
"""

from __future__ import annotations

import http.client
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape  # nosec B406 # only writes XML

from localaws import processes
from localaws.wsgi import read_body, scope

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_KEYS = {
    *("service", "operation", "error", "message", "status"),
    *("image", "argv"),
    *("hold", "interrupt"),
    *("match", "times", "after"),
}


@dataclass
class Fault:
    """One fault. `times` and `after` count down as calls match."""

    service: str = ""
    operation: str = ""
    error: str = ""
    message: str = "Injected fault"
    status: int = 400
    image: str = ""
    argv: tuple[str, ...] = ()
    hold: bool = False
    interrupt: str = ""
    match: str = ""
    times: int = 1
    after: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def parse(cls, document: Any) -> Fault:
        """Return the fault that a JSON document describes.

        Raises
        ------
        ValueError
            The document is not one of the four kinds, or an entry is unknown or of the wrong type.
        """
        if not isinstance(document, dict):
            raise ValueError("A fault must be a JSON object.")  # noqa: TRY004 - it came over HTTP
        if unknown := sorted(set(document) - _KEYS):
            raise ValueError(f"A fault has the unknown entry {unknown[0]!r}. Use {', '.join(sorted(_KEYS))}.")
        for name in ("status", "times", "after"):
            if not isinstance(document.get(name, 0), int) or document.get(name, 0) < 0:
                raise ValueError(f"{name!r} must be an integer of at least 0, not {document[name]!r}.")
        argv = document.get("argv", [])
        if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
            raise ValueError("'argv' must be a list of words.")
        fault = cls(**{**document, "argv": tuple(argv)})
        kinds = [
            bool(fault.service and fault.operation and fault.error),
            bool(fault.image and fault.argv),
            bool(fault.service and fault.hold),
            bool(fault.interrupt),
        ]
        if sum(kinds) != 1:
            raise ValueError(
                "A fault must have either 'service', 'operation' and 'error', or 'image' and 'argv', "
                "or 'service' and 'hold', or 'interrupt'."
            )
        return fault

    def describe(self) -> dict[str, Any]:
        """Return the fault as JSON, with its remaining counts."""
        return {name: getattr(self, name) for name in sorted(_KEYS) if getattr(self, name)}


class Faults:
    """The faults in force. Several threads may use it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._held: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Remove all faults. Queries that are held continue."""
        with self._lock:
            for fault in self._held:
                fault.released.set()
            self._held.clear()
            self._faults.clear()

    def left(self) -> list[dict[str, Any]]:
        """List the faults that can still happen."""
        with self._lock:
            return [fault.describe() for fault in self._faults]

    def concern(self, service: str, operation: str) -> bool:
        """Return whether an API fault may apply, without reading the request's body."""
        with self._lock:
            return any(
                fault.error and fault.service == service and fault.operation == operation for fault in self._faults
            )

    def take_error(self, service: str, operation: str, body: str) -> Fault | None:
        """Return the fault that this API call is answered with, if any."""
        return self._take(
            lambda fault: bool(fault.error) and fault.service == service and fault.operation == operation, body
        )

    def take_command(self, image: str, name: str, arguments: Sequence[str]) -> tuple[str, ...] | None:
        """Return the command to run in place of the image's for this job or endpoint, if any."""
        fault = self._take(lambda fault: fault.image == image and bool(fault.argv), " ".join([name, *arguments]))
        return fault.argv if fault else None

    def take_hold(self, service: str, text: str) -> threading.Event | None:
        """Return an event that a query must wait for, if any. It is set when the faults are removed."""
        fault = self._take(lambda fault: fault.hold and fault.service == service, text)
        if fault is None:
            return None
        with self._lock:
            self._held.append(fault)
        return fault.released

    def take_interruption(self, name: str, line: str) -> bool:
        """Return whether a training job loses its instance because of a line of its log."""
        return self._take(lambda fault: bool(fault.interrupt) and fault.interrupt in line, name) is not None

    def _take(self, applies: Callable[[Fault], bool], text: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if not applies(fault) or fault.match not in text:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault
        return None


active = Faults()
"""The faults of this region."""


class FaultInjector:
    """WSGI middleware that serves the paths for faults and processes, and answers API calls with faults."""

    def __init__(self, app: WsgiApp) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if path == "/_localaws/faults":
            return _answer(start_response, *_operate(environ))
        if path == "/_localaws/processes":
            return _answer(start_response, 200, [child._asdict() for child in processes.running()])
        service, operation, protocol = _identify(environ)
        if active.concern(service, operation):
            body = read_body(environ)
            if fault := active.take_error(service, operation, path + body.decode("utf-8", "replace")):
                return _fail(start_response, fault, protocol)
        return self.app(environ, start_response)


def _operate(environ: dict[str, Any]) -> tuple[int, Any]:
    method = environ["REQUEST_METHOD"]
    if method == "GET":
        return 200, active.left()
    if method == "DELETE":
        active.clear()
        return 200, []
    if method == "POST":
        try:
            active.add(Fault.parse(json.loads(read_body(environ))))
        except ValueError as error:
            return 400, {"message": str(error)}
        return 201, active.left()
    return 405, {"message": "Use GET, POST or DELETE."}


def _identify(environ: dict[str, Any]) -> tuple[str, str, str]:
    """Return the service (as in request signatures), operation and protocol of an API call."""
    signed = scope(environ)
    service = signed.service if signed else ""
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return service, target.rpartition(".")[2], "json"
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(read_body(environ).decode()).get("Action", [""])[0]
        return service, action, "query"
    return service, _rest_operation(service, environ), "s3" if service == "s3" else "json"


def _rest_operation(service: str, environ: Mapping[str, Any]) -> str:
    """Return the operation of a request in a REST protocol, for those that can have faults."""
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    if service == "sagemaker" and path.endswith("/invocations"):
        return "InvokeEndpoint"
    if service == "lambda" and path.endswith("/invocations"):
        return "Invoke"
    if service == "s3":
        is_object = "/" in path.strip("/")
        if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
            return "UploadPartCopy" if "partNumber=" in environ.get("QUERY_STRING", "") else "CopyObject"
        names = {
            ("GET", True): "GetObject",
            ("PUT", True): "PutObject",
            ("HEAD", True): "HeadObject",
            ("DELETE", True): "DeleteObject",
            ("GET", False): "ListObjectsV2",
        }
        return names.get((method, is_object), "")
    return ""


def _fail(start_response: StartResponse, fault: Fault, protocol: str) -> list[bytes]:
    if protocol == "json":
        body = json.dumps({"__type": fault.error, "message": fault.message, "Message": fault.message})
        return _send(start_response, fault.status, "application/x-amz-json-1.1", body, fault.error)
    error = f"<Error><Code>{escape(fault.error)}</Code><Message>{escape(fault.message)}</Message></Error>"
    body = error if protocol == "s3" else f"<ErrorResponse>{error}<RequestId>injected</RequestId></ErrorResponse>"
    return _send(start_response, fault.status, "text/xml", body, fault.error)


def _answer(start_response: StartResponse, status: int, document: Any) -> list[bytes]:
    return _send(start_response, status, "application/json", json.dumps(document))


def _send(start_response: StartResponse, status: int, content_type: str, text: str, error: str = "") -> list[bytes]:
    body = text.encode()
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    if error:
        headers += [("x-amzn-errortype", error), ("x-amzn-RequestId", str(uuid.uuid4()))]
    start_response(f"{status} {http.client.responses.get(status, 'Status')}", headers)
    return [body]
