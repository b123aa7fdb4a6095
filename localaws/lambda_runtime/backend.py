"""moto's Lambda backend, with `invoke` replaced by a run of the deployed code."""

from __future__ import annotations

import base64
import datetime as dt
import threading
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, ClassVar
from uuid import uuid4

from botocore.exceptions import ClientError
from moto.awslambda_simple.models import LambdaSimpleBackend

from localaws.calls import acting_as
from localaws.clients import client
from localaws.lambda_runtime import sandbox
from localaws.settings import Settings

LOG_TAIL_BYTES = 4096
"""What Invoke returns of the log when asked for its tail (API reference)."""


class LocalLambda(LambdaSimpleBackend):
    """Functions that run."""

    # The base class derives its urls from the module's name.
    __module__ = "moto.awslambda_simple.models"
    settings: ClassVar[Settings]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._log_groups: dict[str, str] = {}

    def create_function(self, spec: dict[str, Any]) -> Any:
        """Create a function; where it logs is one of the things that moto drops."""
        function = super().create_function(spec)
        self._set_log_group(function.function_name, spec)
        return function

    def update_function_configuration(self, function_name: str, qualifier: str, body: dict[str, Any]) -> Any:
        """Change a function's configuration."""
        configuration = super().update_function_configuration(function_name, qualifier, body)
        if configuration is not None and "LoggingConfig" in body:
            self._set_log_group(configuration["FunctionName"], body)
        return configuration

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
        """Run the handler; asynchronously for an invocation of type Event."""
        function = self._function(function_name, qualifier)
        event = (body.encode() if isinstance(body, str) else bytes(body or b"")) or b"{}"
        kind = headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if kind == "DryRun":
            return b""
        if kind == "Event":
            threading.Thread(target=self._run, args=(function, event), daemon=True).start()
            return b""
        outcome = self._run(function, event)
        response_headers["x-amz-executed-version"] = function.version
        response_headers["x-amz-log-result"] = base64.b64encode(outcome.log.encode()[-LOG_TAIL_BYTES:]).decode()
        if outcome.failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return outcome.payload

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
        today = dt.datetime.now(dt.UTC).strftime("%Y/%m/%d")
        log_stream = f"{today}/[{function.version}]{uuid4().hex}"
        with acting_as(function.role):
            outcome = sandbox.invoke(self.settings, function, event, log_stream)
            self._keep_log(function.log_group, log_stream, outcome.log)
        return outcome

    def _keep_log(self, group: str, stream: str, text: str) -> None:
        logs = client(self.settings, "logs", self.region_name)
        try:
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            with suppress(logs.exceptions.ResourceAlreadyExistsException):  # two first invocations at once
                logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in text.splitlines() if line]
        # PutLogEvents takes at most 10,000 events and 1 MB in one call (API reference).
        for start in range(0, len(events), 1000):
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events[start : start + 1000])
