"""Endpoints: one serving process per production variant, replaced blue/green."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moto.core.utils import utcnow
from moto.sagemaker.exceptions import ValidationError

from localaws.sagemaker.errors import JobError
from localaws.sagemaker.serving import HEALTH_CHECK_SECONDS, ModelServer, Reply
from localaws.sagemaker.workplace import Workplace

DRAIN_SECONDS = 60.0
"""How long the old fleet may finish what it has begun; no invocation lasts longer."""


class UnknownVariantError(LookupError):
    """An invocation asked for a production variant that the endpoint has not."""


@dataclass
class Variant:
    """A production variant in service."""

    name: str
    weight: float
    server: ModelServer


@dataclass
class Fleet:
    """The processes behind an endpoint at one time, and how many requests they are answering."""

    variants: Sequence[Variant]
    _busy: int = 0
    _idle: threading.Condition = field(default_factory=threading.Condition)

    def invoke(self, body: bytes, headers: Mapping[str, str], target: str | None) -> tuple[Reply, str]:
        """Send a request to one variant, chosen by weight unless named; returns the answer and the variant."""
        variant = self._choose(target)
        with self._idle:
            self._busy += 1
        try:
            return variant.server.invoke(body, headers), variant.name
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def stop(self, drain_seconds: float = 0) -> None:
        """End the processes, after the requests they are answering or at the latest after so many seconds."""
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0, drain_seconds)
        for variant in self.variants:
            variant.server.stop()

    def _choose(self, target: str | None) -> Variant:
        if target is not None:
            for variant in self.variants:
                if variant.name == target:
                    return variant
            raise UnknownVariantError(target)
        weights = [variant.weight for variant in self.variants]
        # Not for secrets: traffic is split at random by weight, as SageMaker does.
        return random.choices(self.variants, weights if any(weights) else None)[0]  # nosec B311 # spreads requests, keeps no secret


class EndpointHost:
    """Keeps the processes of one endpoint in step with the configuration it shall have.

    Parameters
    ----------
    endpoint
        moto's record of the endpoint; its status, configuration and variants are kept up to date here.
    """

    def __init__(self, workplace: Workplace, endpoint: Any) -> None:
        self.endpoint = endpoint
        self._workplace = workplace
        self._fleet: Fleet | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    @property
    def is_serverless(self) -> bool:
        """Whether the endpoint has no instances."""
        return any("CurrentServerlessConfig" in variant for variant in self.endpoint.production_variants)

    def deploy(self, config_name: str, variants: Sequence[Mapping[str, Any]], models: Mapping[str, Any]) -> None:
        """Bring a configuration into service, in the background.

        Parameters
        ----------
        config_name, variants
            The endpoint configuration and its ProductionVariants.
        models
            Container definition by model name.

        Raises
        ------
        ValidationError
            Another deployment is under way, or the endpoint has failed.
        """
        with self._lock:
            if self._fleet is not None and self.endpoint.endpoint_status != "InService":
                raise ValidationError(f'Cannot update in-progress endpoint "{self.endpoint.arn}".')
            self.endpoint.endpoint_status = "Updating" if self._fleet is not None else "Creating"
            self.endpoint.last_modified_time = utcnow()
        name = f"endpoint-{self.endpoint.endpoint_name}"
        threading.Thread(target=self._deploy, args=(config_name, variants, models), name=name, daemon=True).start()

    def invoke(self, body: bytes, headers: Mapping[str, str], target: str | None) -> tuple[Reply, str]:
        """Send a request to the fleet in service; see `Fleet.invoke`.

        Raises
        ------
        LookupError
            Nothing is in service.
        JobError
            The container did not answer.
        """
        fleet = self._fleet
        if fleet is None:
            raise LookupError(self.endpoint.endpoint_name)
        return fleet.invoke(body, headers, target)

    def stop(self) -> None:
        """Take the endpoint out of service for good."""
        self._stopped.set()
        with self._lock:
            fleet, self._fleet = self._fleet, None
        if fleet is not None:
            fleet.stop()

    def _deploy(self, config_name: str, variants: Sequence[Mapping[str, Any]], models: Mapping[str, Any]) -> None:
        try:
            fleet = self._start(variants, models)
        except Exception as error:  # noqa: BLE001 - whatever happens, the endpoint must leave Creating or Updating
            reason = str(error) if isinstance(error, JobError | ValidationError) else f"Internal error: {error}"
            self._settle(None, config_name, variants, reason)
            return
        if not self._settle(fleet, config_name, variants, None):
            fleet.stop()

    def _settle(
        self, fleet: Fleet | None, config_name: str, variants: Sequence[Mapping[str, Any]], reason: str | None
    ) -> bool:
        """End a deployment: switch to the new fleet, or stay with the old one; False when the endpoint is gone."""
        endpoint = self.endpoint
        with self._lock:
            if self._stopped.is_set():
                return False
            old = self._fleet
            if fleet is not None:
                self._fleet = fleet
                endpoint.endpoint_config_name = config_name
                endpoint.production_variants = endpoint._process_production_variants(variants)
            endpoint.failure_reason = reason
            # A failed update is rolled back: in service, on the old configuration.
            endpoint.endpoint_status = "InService" if self._fleet is not None else "Failed"
            endpoint.last_modified_time = utcnow()
        if fleet is not None and old is not None:
            old.stop(DRAIN_SECONDS)
        return True

    def _start(self, variants: Sequence[Mapping[str, Any]], models: Mapping[str, Any]) -> Fleet:
        started: list[Variant] = []
        try:
            # Not at once: what has started must be known when the next one fails.
            for variant in variants:
                started.append(self._start_variant(variant, models[variant["ModelName"]]))  # noqa: PERF401
            for variant, entry in zip(variants, started, strict=True):
                seconds = float(variant.get("ContainerStartupHealthCheckTimeoutInSeconds") or HEALTH_CHECK_SECONDS)
                try:
                    entry.server.wait_until_healthy(seconds, self._stopped)
                except JobError as error:
                    raise JobError(
                        f"The primary container for production variant {entry.name} did not pass the ping health "
                        f"check: {error}. Please check CloudWatch logs for this endpoint."
                    ) from error
        except BaseException:
            Fleet(started).stop()
            raise
        return Fleet(started)

    def _start_variant(self, variant: Mapping[str, Any], model: Mapping[str, Any]) -> Variant:
        endpoint_name, name = self.endpoint.endpoint_name, variant["VariantName"]
        instance = uuid.uuid4().hex[:8]  # old and new fleet live at the same time
        server = ModelServer(
            self._workplace,
            "endpoint",
            endpoint_name,
            model,
            self._workplace.folder("endpoint", f"{endpoint_name}-{name}-{instance}"),
            f"/aws/sagemaker/Endpoints/{endpoint_name}",
            f"{name}/{instance}",
        )
        weight = variant.get("InitialVariantWeight")
        return Variant(name, 1.0 if weight is None else float(weight), server)
