"""The functions of one account and region."""

from __future__ import annotations

import base64
import datetime as dt
import threading
from collections import Counter
from collections.abc import MutableMapping
from typing import Any, ClassVar
from uuid import uuid4

from moto.awslambda_simple.models import LambdaSimpleBackend

from localaws import log_streams
from localaws.identity import acting_as
from localaws.lambda_runtime import sandbox
from localaws.settings import Settings

LOG_TAIL_BYTES = 4096
"""Invoke returns the last 4 KB of the log (API reference)."""


class LocalLambda(LambdaSimpleBackend):
    """moto's backend with functions that run."""

    # The base class derives its URLs from the module's name.
    __module__ = "moto.awslambda_simple.models"
    settings: ClassVar[Settings]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._log_groups: dict[str, str] = {}
        self._asynchronous: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._sandboxes = sandbox.Sandboxes()

    def create_function(self, spec: dict[str, Any]) -> Any:
        """Create a function. moto drops its log group."""
        function = super().create_function(spec)
        self._set_log_group(function.function_name, spec)
        return function

    def update_function_configuration(self, function_name: str, qualifier: str, body: dict[str, Any]) -> Any:
        """Change a function's configuration."""
        configuration = super().update_function_configuration(function_name, qualifier, body)
        if configuration is not None and "LoggingConfig" in body:
            self._set_log_group(configuration["FunctionName"], body)
        return configuration

    def delete_function(self, function_name: str, qualifier: str | None = None) -> None:
        """Delete a function and end its idle processes."""
        name = self.get_function(function_name).function_name
        super().delete_function(function_name, qualifier)
        self._sandboxes.close(name)

    def _set_log_group(self, name: str, spec: dict[str, Any]) -> None:
        self._log_groups[name] = spec.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}"

    def invoke(
        self,
        function_name: str,
        qualifier: str | None,
        body: Any,
        headers: Any,
        response_headers: MutableMapping[str, str],
    ) -> bytes:
        """Run the handler, asynchronously for an invocation of type Event."""
        function = self._function(function_name, qualifier)
        event = (body.encode() if isinstance(body, str) else bytes(body or b"")) or b"{}"
        kind = headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if kind == "DryRun":
            return b""
        if kind == "Event":
            self._count(function.name, 1)
            threading.Thread(target=self._run_later, args=(function, event), daemon=True).start()
            return b""
        outcome = self._run(function, event)
        response_headers["x-amz-executed-version"] = function.version
        response_headers["x-amz-log-result"] = base64.b64encode(outcome.log.encode()[-LOG_TAIL_BYTES:]).decode()
        if outcome.failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return outcome.payload

    def works_asynchronously(self, function_name: str) -> bool:
        """Return whether asynchronous invocations of a function, given by name or ARN, are running."""
        return self._asynchronous[self.get_function(function_name).function_name] > 0

    def _count(self, name: str, change: int) -> None:
        with self._counting:
            self._asynchronous[name] += change

    def _run_later(self, function: sandbox.Function, event: bytes) -> None:
        try:
            self._run(function, event)
        finally:
            self._count(function.name, -1)

    def _function(self, function_name: str, qualifier: str | None) -> sandbox.Function:
        function = self.get_function(function_name, qualifier)
        return sandbox.Function(
            name=function.function_name,
            version=str(function.version),
            arn=function.function_arn,
            role=str(function.role),
            handler=str(function.handler),
            runtime=str(function.run_time),
            memory_mb=int(function.memory_size),
            timeout=int(function.timeout),
            log_group=self._log_groups[function.function_name],
            environment={name: str(value) for name, value in function.environment_vars.items()},
            code=function.code_bytes,
            code_digest=function.code_sha_256,
        )

    def _run(self, function: sandbox.Function, event: bytes) -> sandbox.Outcome:
        used = self._sandboxes.take(function)
        with acting_as(function.role):
            if used is None:
                today = dt.datetime.now(dt.UTC).strftime("%Y/%m/%d")
                used = sandbox.Sandbox(self.settings, function, f"{today}/[{function.version}]{uuid4().hex}")
            outcome = used.invoke(event)
            self._sandboxes.give_back(used)
            log_streams.append(self.settings, self.region_name, function.log_group, used.log_stream, outcome.log)
        return outcome
