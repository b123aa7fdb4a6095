"""Checks of serverless endpoints. They run like other endpoints here, without cold starts.

The checks are from the SageMaker Developer Guide, "Deploy models with Amazon SageMaker Serverless Inference":
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import Model

MEMORY_SIZES_MB = range(1024, 6145, 1024)
MOST_CONCURRENT = 200
PAYLOAD_LIMIT_BYTES = 4 * 1024 * 1024
"""Largest request of a serverless endpoint."""

Variants = Sequence[Mapping[str, Any]]


def is_serverless(variants: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether production variants are serverless."""
    return any(variant.get("ServerlessConfig") for variant in variants)


def check_config(variants: Variants, models: Iterable[Model], data_capture: Mapping[str, Any] | None) -> None:
    """Check an endpoint configuration.

    Raises
    ------
    ValidationError
        Memory or concurrency is out of range, or serverless inference does not support a feature.
    """
    if not is_serverless(variants):
        return
    (variant,) = variants
    if both := sorted({"InstanceType", "InitialInstanceCount"} & variant.keys()):
        raise ValidationError(f"ServerlessConfig cannot be combined with {' and '.join(both)}.")
    config = variant["ServerlessConfig"]
    _require_number("memorySizeInMB", config.get("MemorySizeInMB"), MEMORY_SIZES_MB)
    _require_number("maxConcurrency", config.get("MaxConcurrency"), range(1, MOST_CONCURRENT + 1))
    if (provisioned := config.get("ProvisionedConcurrency")) is not None:
        _require_number("provisionedConcurrency", provisioned, range(1, config["MaxConcurrency"] + 1))
    if data_capture:
        raise ValidationError("Data capture is not supported for serverless endpoints.")
    for model in models:
        if model.vpc_config:
            raise ValidationError(f"VPC configuration of model {model.model_name} is not supported for serverless.")
        if model.enable_network_isolation:
            raise ValidationError(f"Network isolation of model {model.model_name} is not supported for serverless.")


def check_update(new: Variants, deployment: Mapping[str, Any] | None, *, was_serverless: bool) -> None:
    """Check an update of an endpoint.

    Raises
    ------
    ValidationError
        An endpoint with instances would become serverless, or a serverless one has deployment guardrails.
    """
    if not is_serverless(new):
        return
    if not was_serverless:
        raise ValidationError("An instance-based endpoint cannot be converted to a serverless endpoint.")
    if deployment:
        raise ValidationError("DeploymentConfig is not supported for serverless endpoints.")


def _require_number(member: str, value: Any, allowed: range) -> None:
    if value not in allowed:
        raise ValidationError(
            f"1 validation error detected: Value '{value}' at 'productionVariants.1.member.serverlessConfig.{member}' "
            f"failed to satisfy constraint: Member must be one of {allowed.start} to {allowed[-1]} "
            f"in steps of {allowed.step}"
        )
