"""Endpoints: a serving process, which an update replaces blue/green."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from typing import Any

from moto.core.utils import utcnow
from moto.sagemaker.exceptions import ValidationError

from localaws.sagemaker.context import Context
from localaws.sagemaker.errors import JobError
from localaws.sagemaker.serving import HEALTH_CHECK_SECONDS, ModelServer, Reply

DRAIN_SECONDS = 60.0
"""Time for the old fleet to answer its requests. No invocation takes longer."""


class Fleet:
    """The serving process of a deployment, and the number of requests that it is answering."""

    def __init__(self, variant: str, server: ModelServer) -> None:
        self.variant = variant
        self._server = server
        self._busy = 0
        self._idle = threading.Condition()

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a request to the model."""
        with self._idle:
            self._busy += 1
        try:
            return self._server.invoke(body, headers)
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def stop(self, drain_seconds: float = 0) -> None:
        """Stop the process when it has answered its requests, or after `drain_seconds`."""
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0, drain_seconds)
        self._server.stop()


class EndpointHost:
    """Deploys the configurations of one endpoint.

    Parameters
    ----------
    endpoint
        moto's endpoint, whose status, configuration and variants are updated.
    """

    def __init__(self, context: Context, endpoint: Any) -> None:
        self.endpoint = endpoint
        self._context = context
        self._fleet: Fleet | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    @property
    def is_serverless(self) -> bool:
        """Return whether the endpoint is serverless."""
        return any("CurrentServerlessConfig" in variant for variant in self.endpoint.production_variants)

    def deploy(self, config_name: str, variant: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        """Deploy a configuration in the background.

        Parameters
        ----------
        config_name, variant
            Name of the endpoint configuration, and its production variant.
        model
            Container definition of its model.

        Raises
        ------
        ValidationError
            Another deployment is in progress, or the endpoint has failed.
        """
        with self._lock:
            if self._fleet is not None and self.endpoint.endpoint_status != "InService":
                raise ValidationError(f'Cannot update in-progress endpoint "{self.endpoint.arn}".')
            self.endpoint.endpoint_status = "Updating" if self._fleet is not None else "Creating"
            self.endpoint.last_modified_time = utcnow()
        name = f"endpoint-{self.endpoint.endpoint_name}"
        threading.Thread(target=self._deploy, args=(config_name, variant, model), name=name, daemon=True).start()

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> tuple[Reply, str]:
        """Send a request to the model and return its reply and the name of the production variant.

        Raises
        ------
        LookupError
            The endpoint is not in service.
        JobError
            The container did not answer.
        """
        fleet = self._fleet
        if fleet is None:
            raise LookupError(self.endpoint.endpoint_name)
        return fleet.invoke(body, headers), fleet.variant

    def stop(self) -> None:
        """Stop the endpoint."""
        self._stopped.set()
        with self._lock:
            fleet, self._fleet = self._fleet, None
        if fleet is not None:
            fleet.stop()

    def _deploy(self, config_name: str, variant: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        try:
            fleet = self._start(variant, model)
        except Exception as error:  # noqa: BLE001 - the endpoint must leave Creating or Updating
            reason = str(error) if isinstance(error, JobError | ValidationError) else f"Internal error: {error}"
            self._settle(None, config_name, variant, reason)
            return
        if not self._settle(fleet, config_name, variant, None):
            fleet.stop()

    def _settle(self, fleet: Fleet | None, config_name: str, variant: Mapping[str, Any], reason: str | None) -> bool:
        """Switch to the new fleet, or keep the old one. Return False if the endpoint was stopped."""
        endpoint = self.endpoint
        with self._lock:
            if self._stopped.is_set():
                return False
            old = self._fleet
            if fleet is not None:
                self._fleet = fleet
                endpoint.endpoint_config_name = config_name
                endpoint.production_variants = endpoint._process_production_variants([variant])
            endpoint.failure_reason = reason
            # A failed update is rolled back: the endpoint is in service with its old configuration.
            endpoint.endpoint_status = "InService" if self._fleet is not None else "Failed"
            endpoint.last_modified_time = utcnow()
        if fleet is not None and old is not None:
            old.stop(DRAIN_SECONDS)
        return True

    def _start(self, variant: Mapping[str, Any], model: Mapping[str, Any]) -> Fleet:
        endpoint_name, name = self.endpoint.endpoint_name, variant["VariantName"]
        instance = uuid.uuid4().hex[:8]  # the old and the new process run at the same time
        server = ModelServer(
            self._context,
            "endpoint",
            endpoint_name,
            model,
            self._context.folder("endpoint", f"{endpoint_name}-{name}-{instance}"),
            f"/aws/sagemaker/Endpoints/{endpoint_name}",
            f"{name}/{instance}",
        )
        seconds = float(variant.get("ContainerStartupHealthCheckTimeoutInSeconds") or HEALTH_CHECK_SECONDS)
        try:
            server.wait_until_healthy(seconds, self._stopped)
        except JobError as error:
            server.stop()
            raise JobError(
                f"The primary container for production variant {name} did not pass the ping health check: {error}. "
                "Please check CloudWatch logs for this endpoint."
            ) from error
        return Fleet(name, server)
