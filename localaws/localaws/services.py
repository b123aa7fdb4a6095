"""Applies the patches of each service when the service is first needed.

Patching a service imports moto's models of it, and those of CloudFormation import nearly all of moto, which takes about
3 s. So the server starts first. The services are patched in the background, or at once if a request needs one.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

from localaws.patches import apply_all
from localaws.settings import Settings

PATCHES = {
    "awslambda": "lambda_runtime",
    "athena": "athena",
    "codebuild": "codebuild",
    "ecr": "ecr",
    "events": "events",
    "glue": "glue",
    "iam": "iam",
    "scheduler": "scheduler",
    "sagemaker": "sagemaker",
    "sagemakerruntime": "sagemaker",
    "servicequotas": "servicequotas",
    "sqs": "sqs",
    "stepfunctions": "stepfunctions",
    "cloudformation": "cloudformation",
}
"""Module in `localaws.patches` by moto's name of the service, in the order in which a deployment needs them."""


class Services:
    """Patches each service once, before its first request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._prepared: set[str] = set()

    def prepare(self, service: str) -> None:
        """Apply the patches of a service, if there are any."""
        with self._lock:
            if service in self._prepared or service not in PATCHES:
                return
            self._prepared.add(service)
            if service == "cloudformation":
                # moto's own resource classes call the backends of other services directly.
                for other in ("awslambda", "athena", "sagemaker"):
                    self.prepare(other)
            if service == "sagemaker":
                self.prepare("events")  # The registry's changes are events.
            module = importlib.import_module(f"localaws.patches.{PATCHES[service]}")
            apply_all(module.patches(self._settings))

    def prepare_all(self) -> None:
        """Patch every service."""
        for service in PATCHES:
            self.prepare(service)

    def application(self, service: str) -> Any:
        """Return moto's application of a service."""
        from moto.moto_server import werkzeug_app

        self.prepare(service)
        create: Any = werkzeug_app.create_backend_app  # its type lists the literal names of all services
        return create(service)
