"""One invocation of a function: its code unpacked, its handler run in a process, its outcome collected."""

from __future__ import annotations

import io
import json
import shutil
import site
import subprocess
import sys
import sysconfig
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


@dataclass(frozen=True)
class Function:
    """What an invocation needs to know of a function.

    Attributes
    ----------
    timeout
        Seconds.
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
    """What an invocation ended with: the payload (JSON), whether it is an error, and the log."""

    request_id: str
    payload: bytes
    failed: bool
    log: str


def invoke(settings: Settings, function: Function, event: bytes, log_stream: str) -> Outcome:
    """Run a handler to its end or to the function's timeout."""
    request_id = str(uuid4())
    bundle = unpack(settings.home / "functions" / function.name, function)
    scratch = settings.home / "invocations" / request_id
    scratch.mkdir(parents=True)
    try:
        return _run(settings, function, event, log_stream, request_id, bundle, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def unpack(directory: Path, function: Function) -> Path:
    """Unpack a function's code once per version of the code; return the directory."""
    bundle = directory / "".join(character for character in function.code_digest if character.isalnum())[:24]
    if not bundle.exists():
        partial = directory / f".{uuid4().hex}"
        with zipfile.ZipFile(io.BytesIO(function.code)) as archive:
            archive.extractall(partial)
        try:
            partial.rename(bundle)
        except OSError:  # another invocation was faster
            shutil.rmtree(partial, ignore_errors=True)
    return bundle


def _run(
    settings: Settings,
    function: Function,
    event: bytes,
    log_stream: str,
    request_id: str,
    bundle: Path,
    scratch: Path,
) -> Outcome:
    event_path, result_path, log_path = scratch / "event.json", scratch / "result.json", scratch / "log.txt"
    event_path.write_bytes(event)
    started = time.time()
    invocation = {
        "handler": function.handler,
        "bundle": str(bundle),
        "installed": sorted({*site.getsitepackages(), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}),
        "event_path": str(event_path),
        "result_path": str(result_path),
        "function_name": function.name,
        "function_version": function.version,
        "function_arn": function.arn,
        "memory_mb": str(function.memory_mb),
        "request_id": request_id,
        "log_group": function.log_group,
        "log_stream": log_stream,
        "deadline": started + function.timeout,
    }
    # -P and -S: neither this package's directory nor the local environment are importable, see `bootstrap`.
    process = processes.spawn(
        [sys.executable, "-P", "-S", str(BOOTSTRAP), json.dumps(invocation)],
        cwd=bundle,
        environment=environment(settings, function, bundle, log_stream),
        log_path=log_path,
        kind="function",
        name=function.name,
    )
    timed_out = False
    try:
        process.wait(function.timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
    # Also after a normal end: what the handler has started must not outlive it.
    exit_code = processes.stop(process, 0)
    log = log_path.read_text(encoding="utf-8", errors="replace")
    payload, failed = _payload(function, request_id, result_path, exit_code, timed_out)
    return Outcome(
        request_id, payload, failed, _framed(function, request_id, log, time.time() - started, payload, failed)
    )


def environment(settings: Settings, function: Function, bundle: Path, log_stream: str) -> dict[str, str]:
    """Return a handler's environment; names and meaning of Lambda's own variables are AWS's.

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


def _payload(
    function: Function, request_id: str, result_path: Path, exit_code: int, timed_out: bool
) -> tuple[bytes, bool]:
    if timed_out:
        message = f"RequestId: {request_id} Error: Task timed out after {function.timeout:.2f} seconds"
        return _error("Sandbox.Timedout", message), True
    if not result_path.exists():
        cause = f"signal: {-exit_code}" if exit_code < 0 else f"exit status {exit_code}"
        return _error("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with error: {cause}"), True
    outcome: dict[str, Any] = json.loads(result_path.read_bytes())
    if "error" in outcome:
        return json.dumps(outcome["error"]).encode(), True
    return str(outcome["result"]).encode(), False


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _framed(function: Function, request_id: str, log: str, seconds: float, payload: bytes, failed: bool) -> str:
    """Put the lines around a log that Lambda puts there."""
    lines = [f"START RequestId: {request_id} Version: {function.version}", *log.splitlines()]
    if failed:
        lines.append(payload.decode())
    lines += [
        f"END RequestId: {request_id}",
        f"REPORT RequestId: {request_id}\tDuration: {seconds * 1000:.2f} ms\tMemory Size: {function.memory_mb} MB",
    ]
    return "\n".join(lines)
