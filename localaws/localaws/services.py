"""Which parts of the region stand behind which service, and their preparation when they are first needed.

Preparing a service imports moto's models for it, and CloudFormation's import nearly all of moto: about 3 s of a start.
So the server answers first; the rest is prepared in the background, or at once for a request that cannot wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from localaws.settings import Settings


class Services:
    """Prepares each service once, before its first request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._prepared: set[str] = set()
        self._steps = {
            "awslambda": self._functions,
            "athena": self._athena,
            "codebuild": self._codebuild,
            "events": self._events,
            "scheduler": self._scheduler,
            "sagemaker": self._sagemaker,
            "sagemakerruntime": self._sagemaker,
            "stepfunctions": self._stepfunctions,
            "cloudformation": self._cloudformation,
        }

    def prepare(self, service: str) -> None:
        """Put a service's patches and engine in place."""
        with self._lock:
            if service not in self._prepared and service in self._steps:
                self._steps[service]()
            self._prepared.add(service)

    def prepare_all(self) -> None:
        """Prepare every service, in the order in which a deployment and a run need them."""
        for service in self._steps:
            self.prepare(service)

    def application(self, service: str) -> Any:
        """Return moto's application of a service."""
        from moto.moto_server import werkzeug_app

        self.prepare(service)
        create: Any = werkzeug_app.create_backend_app  # typed by the literal names of all services
        return create(service)

    def invocation_of_url(self, url_id: str) -> Callable[[bytes], tuple[bytes, bool]] | None:
        """Return what invokes the function behind a function URL."""
        self.prepare("awslambda")
        from moto.awslambda_simple.models import lambda_simple_backends

        backend: Any = lambda_simple_backends[self._settings.account_id][self._settings.region]
        found: Callable[[bytes], tuple[bytes, bool]] | None = backend.invocation_of_url(url_id)
        return found

    def _functions(self) -> None:
        from localaws.patches import apply_all, lambda_runtime

        apply_all(lambda_runtime.patches(self._settings))

    def _codebuild(self) -> None:
        from localaws.patches import apply_all, codebuild

        apply_all(codebuild.patches(self._settings))

    def _events(self) -> None:
        from localaws.patches import apply_all, events

        apply_all(events.patches(self._settings))

    def _scheduler(self) -> None:
        from localaws.patches import apply_all, scheduler

        apply_all(scheduler.patches())

    def _stepfunctions(self) -> None:
        from localaws.patches import apply_all, stepfunctions

        apply_all(stepfunctions.patches(self._settings))

    def _cloudformation(self) -> None:
        from localaws.patches import apply_all, cloudformation

        # moto's own resource classes write to the backends of the other services directly.
        for service in ("awslambda", "athena", "sagemaker"):
            self.prepare(service)
        apply_all(cloudformation.patches(self._settings))

    def _athena(self) -> None:
        from localaws.athena.install import install

        install(self._settings)

    def _sagemaker(self) -> None:
        from localaws.sagemaker.install import install

        self.prepare("events")  # the registry's changes are events
        if not {"sagemaker", "sagemakerruntime"} & self._prepared:  # one engine behind two services
            install(self._settings)
