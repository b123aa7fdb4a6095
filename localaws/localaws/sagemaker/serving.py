"""Model servers: containers with the argument ``serve``, for endpoints and transform jobs."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws import processes
from localaws.identity import acting_as
from localaws.sagemaker import container, transfer
from localaws.sagemaker.context import Context
from localaws.sagemaker.errors import JobError
from localaws.sagemaker.logs import LogTail
from localaws.sagemaker.validation import find_image

HEALTH_CHECK_SECONDS = 60.0
"""Default time for a container to answer /ping."""

FAULTY_HEALTH_CHECK_SECONDS = 5.0
"""The same for the command of a fault, so that tests need not wait a minute."""

INVOCATION_SECONDS = 60.0
"""Time for a container to answer a request, SageMaker's limit for real-time inference."""

PING_PAUSE_SECONDS = 0.1
LOCALHOST = "127.0.0.1"


@dataclass(frozen=True)
class Reply:
    """A response of a container."""

    status: int
    content_type: str
    body: bytes


class ModelServer:
    """A serving process and its folder.

    Parameters
    ----------
    context, kind, name
        ``endpoint`` or ``transform``, and the name of the endpoint or job.
    model
        Container definition of a model: Image, ModelDataUrl, Environment.
    folder
        Folder of /opt/ml, which `stop` removes.
    log_group, log_stream
        Log stream.
    environment
        Environment variables besides those of the model.
    """

    def __init__(
        self,
        context: Context,
        kind: str,
        name: str,
        model: Mapping[str, Any],
        folder: Path,
        log_group: str,
        log_stream: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = _free_port()
        self._folder = folder
        self._tail: LogTail | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_faulty = False
        try:
            with acting_as(model.get("ExecutionRoleArn") or ""):
                self._start(context, kind, name, model, log_group, log_stream, environment)
        except BaseException:
            self.stop()
            raise

    def _start(
        self,
        context: Context,
        kind: str,
        name: str,
        model: Mapping[str, Any],
        log_group: str,
        log_stream: str,
        environment: Mapping[str, str] | None,
    ) -> None:
        if url := model.get("ModelDataUrl"):
            transfer.extract_model(context.store, url, self._folder / "model")
        (self._folder / "model").mkdir(parents=True, exist_ok=True)
        log_path = context.log_path(self._folder, "serve")
        self._tail = context.follow(log_path, log_group, log_stream)
        self._process, self._is_faulty = container.start(
            context.settings,
            find_image(model["Image"], context.settings.images),
            kind=kind,
            name=name,
            root=self._folder,
            log_path=log_path,
            arguments=["serve"],
            environment={
                **(model.get("Environment") or {}),
                **(environment or {}),
                "SAGEMAKER_BIND_TO_PORT": str(self.port),
                # Not SageMaker's: there a container has an address of its own. Here a process would be reachable from
                # outside of the machine.
                "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
                "SAGEMAKER_SAFE_PORT_RANGE": "21000-21999",
            },
        )

    def wait_until_healthy(self, seconds: float, cancelled: threading.Event) -> None:
        """Wait until /ping answers 200.

        Raises
        ------
        JobError
            The process ended or did not answer in time, or `cancelled` was set.
        """
        if self._is_faulty:
            seconds = min(seconds, FAULTY_HEALTH_CHECK_SECONDS)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                code = container.exit_code(self._process) if self._process else 0
                raise JobError(f"the container ended with exit code {code} before it answered")
            try:
                if self._ask("GET", "/ping", None, {}, timeout=2).status == 200:
                    return
            except OSError:
                pass  # not listening yet
            except http.client.HTTPException:
                pass  # listening, but not answering HTTP yet
            if cancelled.wait(PING_PAUSE_SECONDS):
                raise JobError("it was stopped")
        raise JobError(f"it did not answer within {seconds:g} s")

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send one request to /invocations.

        Raises
        ------
        JobError
            The process has ended or did not answer in time.
        """
        try:
            return self._ask("POST", "/invocations", body, headers, timeout=INVOCATION_SECONDS)
        except TimeoutError as error:
            raise JobError("Your invocation timed out while waiting for a response from the container") from error
        except (OSError, http.client.HTTPException) as error:
            raise JobError(f"The container did not answer: {error}") from error

    def stop(self) -> None:
        """Stop the process and remove the folder."""
        if self._process is not None:
            processes.stop(self._process, container.STOP_GRACE_SECONDS)
        if self._tail is not None:
            self._tail.close()
        container.remove(self._folder)

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float) -> Reply:
        connection = http.client.HTTPConnection(LOCALHOST, self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Reply(answer.status, answer.getheader("Content-Type", ""), answer.read())
        finally:
            connection.close()


def _free_port() -> int:
    with socket.create_server((LOCALHOST, 0)) as probe:
        return int(probe.getsockname()[1])
