"""The jobs, models, endpoint configurations and endpoints of one account and region."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from moto.sagemaker.exceptions import ResourceInUseException, ValidationError
from moto.sagemaker.models import FakeEndpoint, FakeEndpointConfig, Model
from moto.sagemaker.utils import arn_formatter

from localaws.sagemaker import jobs, processing, quotas, serverless, training, transform, tuning
from localaws.sagemaker.context import Context
from localaws.sagemaker.endpoints import EndpointHost
from localaws.sagemaker.job import PROCESSING, TRAINING, TRANSFORM, TUNING, Job, Kind
from localaws.sagemaker.registry import ModelRegistry
from localaws.sagemaker.validation import check_vpc, find_image
from localaws.settings import Settings

_CHECKS = {TRAINING: training.check, PROCESSING: processing.check, TRANSFORM: transform.check, TUNING: tuning.check}


class LocalEndpointConfig(FakeEndpointConfig):
    """moto's endpoint configuration without its list of instance types, which is from 2020."""

    def validate_instance_type(self, instance_type: str) -> None:
        """Accept every type: the model of the API has been asked already."""


class LocalSageMakerBackend(ModelRegistry):
    """moto's backend with jobs that run, endpoints that answer and a complete model registry."""

    # The base class derives its URLs from the module's name.
    __module__ = "moto.sagemaker.models"
    settings: ClassVar[Settings]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.context = Context(self.settings, account_id, region_name)
        self.hosts: dict[str, EndpointHost] = {}
        # moto finds resources with tags by these attributes.
        self.training_jobs: dict[str, Job] = {}  # type: ignore[assignment]
        self.processing_jobs: dict[str, Job] = {}  # type: ignore[assignment]
        self.transform_jobs: dict[str, Job] = {}  # type: ignore[assignment]
        self.hyper_parameter_tuning_jobs: dict[str, Job] = {}  # type: ignore[assignment]
        self._create_lock = threading.Lock()

    def reset(self) -> None:
        """Stop and remove all jobs and endpoints."""
        for kind in _CHECKS:
            for job in self.jobs(kind).values():
                job.stop()
        for host in self.hosts.values():
            host.stop()
        super().reset()

    def jobs(self, kind: Kind) -> dict[str, Job]:
        """Return the jobs of a kind by name."""
        return {
            TRAINING: self.training_jobs,
            PROCESSING: self.processing_jobs,
            TRANSFORM: self.transform_jobs,
            TUNING: self.hyper_parameter_tuning_jobs,
        }[kind]

    def create_job(self, kind: Kind, request: Mapping[str, Any]) -> Job:
        """Start a job.

        Raises
        ------
        ValidationError
            SageMaker or the local region refuses the request.
        ResourceInUseException
            There is or was a job with this name.
        ResourceLimitExceeded
            It needs more instances than the quota allows.
        """
        name = request[f"{kind.label}JobName"]
        arn = self._arn(kind.resource, name)
        details = _CHECKS[kind](dict(request), self.context)
        model = self._container(request["ModelName"]) if kind is TRANSFORM else {}
        with self._create_lock:
            if name in self.jobs(kind):
                raise ResourceInUseException(
                    f"{kind.label} job names must be unique within an AWS account and region, "
                    f"and a {kind.word} job with this name already exists ({arn})"
                )
            quota, instances = quotas.of_job(kind, request)
            quotas.check(quota, quotas.in_use(quota, kind, self.jobs(kind)), instances, self.settings.quotas)
            job = Job(kind, name, arn, request, list(request.get("Tags") or []), details=details)
            self.jobs(kind)[name] = job
        works: dict[Kind, jobs.Work] = {
            TRAINING: training.run,
            PROCESSING: processing.run,
            TRANSFORM: partial(transform.run, model=model),
            TUNING: partial(tuning.run, start_training=partial(self.create_job, TRAINING)),
        }
        jobs.start(job, self.context, works[kind])
        return job

    def job(self, kind: Kind, name: str) -> Job:
        """Return a job.

        Raises
        ------
        ValidationError
            It does not exist.
        """
        try:
            return self.jobs(kind)[name]
        except KeyError:
            raise ValidationError("Requested resource not found.") from None

    def stop_job(self, kind: Kind, name: str) -> None:
        """Ask a job to stop.

        Raises
        ------
        ValidationError
            The job does not exist or has ended.
        """
        job = self.job(kind, name)
        if not job.stop():
            raise ValidationError(f"The request was rejected because the {kind.word} job is in status {job.status}.")

    def create_model(
        self,
        model_name: str,
        execution_role_arn: str,
        primary_container: dict[str, Any] | None,
        vpc_config: dict[str, Any] | None,
        containers: list[dict[str, Any]] | None,
        tags: list[dict[str, str]] | None,
    ) -> Model:
        """Create a model.

        Raises
        ------
        ValidationError
            Its image or data does not exist, the name is taken, or the model has several containers.
        """
        if model_name in self._models:
            raise ValidationError(f'Cannot create already existing model "{self._arn("model", model_name)}".')
        definition = primary_container or (containers or [{}])[0]
        if len(containers or []) > 1:
            raise ValidationError("The local region supports models with one container. Use PrimaryContainer.")
        find_image(definition.get("Image", ""), self.settings.images)
        check_vpc(vpc_config)
        url = definition.get("ModelDataUrl")
        if url and not self._exists(url):
            raise ValidationError(f"Could not find model data at {url}.")
        return super().create_model(model_name, execution_role_arn, primary_container, vpc_config, containers, tags)

    def describe_model(self, model_name: str) -> Model:
        """Return a model.

        Raises
        ------
        ValidationError
            It does not exist.
        """
        if model_name not in self._models:
            raise ValidationError(f'Could not find model "{self._arn("model", model_name)}".')
        return self._models[model_name]

    def create_endpoint_config(
        self,
        endpoint_config_name: str,
        production_variants: list[dict[str, Any]],
        data_capture_config: dict[str, Any],
        async_inference_config: dict[str, Any],
        tags: list[dict[str, str]],
        kms_key_id: str,
    ) -> FakeEndpointConfig:
        """Create an endpoint configuration.

        Raises
        ------
        ValidationError
            The name is taken, the model does not exist, there are several production variants, or
            serverless inference does not support the configuration.
        """
        if endpoint_config_name in self.endpoint_configs:
            arn = self._arn("endpoint-config", endpoint_config_name)
            raise ValidationError(f'Cannot create already existing endpoint configuration "{arn}".')
        if len(production_variants) != 1:
            raise ValidationError("The local region supports endpoints with one production variant.")
        models = [self.describe_model(variant["ModelName"]) for variant in production_variants]
        serverless.check_config(production_variants, models, data_capture_config)
        config = LocalEndpointConfig(  # type: ignore[abstract]
            account_id=self.account_id,
            region_name=self.region_name,
            endpoint_config_name=endpoint_config_name,
            production_variants=production_variants,
            async_inference_config=async_inference_config,
            data_capture_config=data_capture_config,
            tags=tags,
            kms_key_id=kms_key_id,
        )
        self.endpoint_configs[endpoint_config_name] = config
        return config

    def describe_endpoint_config(self, endpoint_config_name: str) -> dict[str, Any]:
        """Return the description of an endpoint configuration.

        Raises
        ------
        ValidationError
            It does not exist.
        """
        return dict(self._config(endpoint_config_name).response_object)

    def delete_endpoint_config(self, endpoint_config_name: str) -> None:
        """Delete an endpoint configuration. Endpoints that use it are not changed.

        Raises
        ------
        ValidationError
            It does not exist.
        """
        self._config(endpoint_config_name)
        del self.endpoint_configs[endpoint_config_name]

    def create_endpoint(
        self, endpoint_name: str, endpoint_config_name: str, tags: list[dict[str, str]]
    ) -> FakeEndpoint:
        """Create an endpoint, which is deployed in the background.

        Raises
        ------
        ValidationError
            The name is taken, or the configuration or its model does not exist.
        ResourceLimitExceeded
            It needs more instances than the quota allows.
        """
        config = self._config(endpoint_config_name)
        model = self._container(config.production_variants[0]["ModelName"])
        with self._create_lock:
            if endpoint_name in self.endpoints:
                raise ValidationError(
                    f'Cannot create already existing endpoint "{self._arn("endpoint", endpoint_name)}".'
                )
            self._check_quota(config)
            endpoint = super().create_endpoint(endpoint_name, endpoint_config_name, tags)
            host = self.hosts[endpoint_name] = EndpointHost(self.context, endpoint)
        host.deploy(endpoint_config_name, config.production_variants[0], model)
        return endpoint

    def update_endpoint(
        self, endpoint_name: str, endpoint_config_name: str, deployment_config: Mapping[str, Any] | None = None
    ) -> FakeEndpoint:
        """Deploy another configuration in the background, while the endpoint answers.

        Raises
        ------
        ValidationError
            The endpoint or the configuration does not exist, the endpoint is not in service, or it would become
            serverless.
        ResourceLimitExceeded
            The new instances, beside the old ones, are more than the quota allows.
        """
        endpoint = self._endpoint(endpoint_name)
        config = self._config(endpoint_config_name)
        if endpoint.endpoint_status == "Failed":
            # "DeleteEndpoint is the only operation that can be performed on a failed endpoint" (API reference).
            raise ValidationError(f'Cannot update endpoint "{endpoint.arn}" because it is in status Failed.')
        self._refuse_in_progress(endpoint)
        host = self.hosts[endpoint_name]
        serverless.check_update(config.production_variants, deployment_config, was_serverless=host.is_serverless)
        self._check_quota(config)
        (variant,) = config.production_variants
        host.deploy(endpoint_config_name, variant, self._container(variant["ModelName"]))
        return endpoint

    def describe_endpoint(self, endpoint_name: str) -> dict[str, Any]:
        """Return the description of an endpoint.

        Raises
        ------
        ValidationError
            It does not exist.
        """
        return dict(self._endpoint(endpoint_name).response_object)

    def delete_endpoint(self, endpoint_name: str) -> None:
        """Delete an endpoint.

        Raises
        ------
        ValidationError
            It does not exist, or is being created or updated.
        """
        self._refuse_in_progress(self._endpoint(endpoint_name))
        del self.endpoints[endpoint_name]
        host = self.hosts.pop(endpoint_name)
        # The caller need not wait until the process has ended.
        threading.Thread(target=host.stop, name=f"stop-{endpoint_name}", daemon=True).start()

    def _endpoint(self, name: str) -> FakeEndpoint:
        if name not in self.endpoints:
            raise ValidationError(f'Could not find endpoint "{self._arn("endpoint", name)}".')
        return self.endpoints[name]

    def _config(self, name: str) -> FakeEndpointConfig:
        if name not in self.endpoint_configs:
            raise ValidationError(f'Could not find endpoint configuration "{self._arn("endpoint-config", name)}".')
        return self.endpoint_configs[name]

    def _check_quota(self, config: FakeEndpointConfig) -> None:
        """Check a new fleet, which runs beside the old one until it has taken its place."""
        running = [self.endpoint_configs.get(endpoint.endpoint_config_name) for endpoint in self.endpoints.values()]
        used = [entry for other in running if other for entry in quotas.of_variants(other.production_variants)]
        for quota, wanted in quotas.of_variants(config.production_variants):
            quotas.check(quota, sum(count for name, count in used if name == quota), wanted, self.settings.quotas)

    def _refuse_in_progress(self, endpoint: FakeEndpoint) -> None:
        if endpoint.endpoint_status in ("Creating", "Updating"):
            raise ValidationError(f'Cannot update in-progress endpoint "{endpoint.arn}".')

    def _container(self, model_name: str) -> Mapping[str, Any]:
        """Return the container definition of a model, with its role."""
        model = self.describe_model(model_name)
        definition: Mapping[str, Any] = model.primary_container or (model.containers or [{}])[0]
        return {**definition, "ExecutionRoleArn": model.execution_role_arn}

    def _exists(self, url: str) -> bool:
        try:
            return self.context.store.has(url)
        except ValueError:
            return False

    def _arn(self, resource: str, name: str) -> str:
        return str(arn_formatter(resource, name, self.account_id, self.region_name))
