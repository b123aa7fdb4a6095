"""The sandbox of a function: its unpacked code and a process that runs its handler."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import site
import socket
import sys
import sysconfig
import threading
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from localaws import processes
from localaws.settings import Settings

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
MOST_IDLE = 8
"""A process with the AWS SDK needs about 50 MB."""


@dataclass(frozen=True)
class Function:
    """A function as an invocation needs it.

    Attributes
    ----------
    timeout
        Timeout in seconds.
    code
        The deployed zip archive.
    """

    name: str
    version: str
    arn: str
    role: str
    handler: str
    runtime: str
    memory_mb: int
    timeout: int
    log_group: str
    environment: Mapping[str, str]
    code: bytes
    code_digest: str


@dataclass(frozen=True)
class Outcome:
    """The outcome of an invocation: the payload (JSON), whether it is an error, and the log."""

    request_id: str
    payload: bytes
    failed: bool
    log: str


def unpack(directory: Path, code: bytes) -> Path:
    """Unpack a zip archive, if none with the same files is unpacked yet, and return its directory.

    The functions of an application often have the same bundle, in archives that differ in the times of their files.
    Thousands of files would take the region many seconds to remove when it stops.
    """
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        files = sorted((entry.filename, entry.CRC, entry.file_size) for entry in archive.infolist())
        bundle = directory / hashlib.sha256(repr(files).encode()).hexdigest()[:24]
        if not bundle.exists():
            partial = directory / f".{uuid4().hex}"
            archive.extractall(partial)
            try:
                partial.rename(bundle)
            except OSError:  # another invocation has unpacked it
                shutil.rmtree(partial, ignore_errors=True)
    return bundle


class Sandbox:
    """A process that has a function's code loaded, like an execution environment of Lambda.

    Attributes
    ----------
    function
        The function as it was when the process started.
    log_stream
        Log stream of all invocations in this process.
    is_reusable
        Whether the process can take another invocation.
    """

    def __init__(self, settings: Settings, function: Function, log_stream: str) -> None:
        self.function, self.log_stream, self.is_reusable = function, log_stream, True
        bundle = unpack(settings.home / "functions", function.code)
        self._log_path = settings.home / "invocations" / f"{uuid4().hex}.log"
        installed = {*site.getsitepackages(), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        self._socket, childs_end = socket.socketpair()
        with childs_end:
            # With -P and -S neither this package nor the local environment can be imported; see `bootstrap`.
            self._process = processes.spawn(
                [sys.executable, "-P", "-S", str(BOOTSTRAP), str(bundle), *sorted(installed)],
                cwd=bundle,
                environment=environment(settings, function, bundle, log_stream),
                log_path=self._log_path,
                kind="function",
                name=function.name,
                stdin=childs_end.fileno(),
            )

    def invoke(self, event: bytes) -> Outcome:
        """Run the handler until it ends or times out."""
        function, request_id, started = self.function, str(uuid4()), time.time()
        logged_before = self._log_path.stat().st_size
        invocation = {
            "handler": function.handler,
            "event": event.decode("utf-8", "replace"),
            "function_name": function.name,
            "function_version": function.version,
            "function_arn": function.arn,
            "memory_mb": str(function.memory_mb),
            "request_id": request_id,
            "log_group": function.log_group,
            "log_stream": self.log_stream,
            "deadline": started + function.timeout,
        }
        payload, failed = self._payload(request_id, json.dumps(invocation).encode() + b"\n")
        with self._log_path.open("rb") as file:
            file.seek(logged_before)
            log = file.read().decode("utf-8", "replace")
        framed = _framed(function, request_id, log, time.time() - started, payload, failed)
        return Outcome(request_id, payload, failed, framed)

    def close(self) -> int:
        """Stop the process and everything that its handler has started, and return the exit code."""
        self.is_reusable = False
        exit_code = processes.stop(self._process, 0)
        self._socket.close()
        self._log_path.unlink(missing_ok=True)
        return exit_code

    def _payload(self, request_id: str, invocation: bytes) -> tuple[bytes, bool]:
        """Send an invocation and return what the handler returned or raised, and whether it failed."""
        self._socket.settimeout(self.function.timeout)
        answer = bytearray()
        try:
            self._socket.sendall(invocation)
            while not answer.endswith(b"\n"):
                received = self._socket.recv(1 << 20)
                if not received:
                    raise ConnectionResetError
                answer += received
        except TimeoutError:
            self.is_reusable = False
            message = f"RequestId: {request_id} Error: Task timed out after {self.function.timeout:.2f} seconds"
            return _error("Sandbox.Timedout", message), True
        except ConnectionError:
            self.is_reusable = False
            exit_code = self._process.wait()
            cause = f"signal: {-exit_code}" if exit_code < 0 else f"exit status {exit_code}"
            message = f"RequestId: {request_id} Error: Runtime exited with error: {cause}"
            return _error("Runtime.ExitError", message), True
        outcome: dict[str, Any] = json.loads(answer)
        if "error" in outcome:
            self.is_reusable = not outcome["ends"]
            return json.dumps(outcome["error"]).encode(), True
        return str(outcome["result"]).encode(), False


class Sandboxes:
    """Idle sandboxes, at most `MOST_IDLE`. The one that has been idle for the longest time is closed first."""

    def __init__(self) -> None:
        self._idle: list[Sandbox] = []
        self._lock = threading.Lock()

    def take(self, function: Function) -> Sandbox | None:
        """Return an idle sandbox with the same code, configuration and role, or None."""
        with self._lock:
            for place, sandbox in enumerate(self._idle):
                if sandbox.function == function:
                    return self._idle.pop(place)
        return None

    def give_back(self, sandbox: Sandbox) -> None:
        """Keep a sandbox for the next invocation, or close it if it cannot take one."""
        with self._lock:
            kept = [*self._idle, sandbox] if sandbox.is_reusable else self._idle
            surplus, self._idle = kept[:-MOST_IDLE], kept[-MOST_IDLE:]
        for ending in surplus if sandbox.is_reusable else [sandbox]:
            ending.close()

    def close(self, function_name: str) -> None:
        """Close the idle sandboxes of a function."""
        with self._lock:
            ending = [sandbox for sandbox in self._idle if sandbox.function.name == function_name]
            self._idle = [sandbox for sandbox in self._idle if sandbox.function.name != function_name]
        for sandbox in ending:
            sandbox.close()


def environment(settings: Settings, function: Function, bundle: Path, log_stream: str) -> dict[str, str]:
    """Return the environment of a handler, with the variables that Lambda defines.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return {
        **settings.child_environment(),
        "TZ": ":UTC",
        "LAMBDA_TASK_ROOT": str(bundle),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "_HANDLER": function.handler,
        **function.environment,
    }


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _framed(function: Function, request_id: str, log: str, seconds: float, payload: bytes, failed: bool) -> str:
    """Return a log with the lines that Lambda adds."""
    lines = [f"START RequestId: {request_id} Version: {function.version}", *log.splitlines()]
    if failed:
        lines.append(payload.decode())
    lines += [
        f"END RequestId: {request_id}",
        f"REPORT RequestId: {request_id}\tDuration: {seconds * 1000:.2f} ms\tMemory Size: {function.memory_mb} MB",
    ]
    return "\n".join(lines)
