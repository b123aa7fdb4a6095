"""The version of the model registry that an execution deploys instead of training a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from functions.shared.execution_input import InputRejected
from functions.shared.model_registry import APPROVED, ENDPOINT_CONFIG_NAME

KEYS = {"ModelVersion", "EndpointName", "Endpoint"}
ENDPOINT_KEYS = {"WaitSeconds", "MaxChecks"}
"""Keys of the execution input that may be given with ModelVersion: the version determines everything else."""


def refuse_training_keys(execution_input: Mapping[str, Any]) -> None:
    """Refuse an input that asks both for a deployment and for training.

    Parameters
    ----------
    execution_input
        As it was given, without defaults.

    Raises
    ------
    InputRejected
        The message names the keys that cannot be given with ModelVersion.
    """
    others = sorted(execution_input.keys() - KEYS)
    others += [f"Endpoint.{key}" for key in sorted(execution_input.get("Endpoint", {}).keys() - ENDPOINT_KEYS)]
    if others:
        raise InputRejected(
            f"Execution input rejected: ModelVersion deploys a model that is trained already, {', '.join(others)} "
            "would shape a new one. Leave out ModelVersion to train, or the other keys to deploy."
        )


def describe_version(sagemaker: Any, group_arn: str, number: int) -> dict[str, Any]:
    """Find a version that can be deployed.

    Parameters
    ----------
    sagemaker
        boto3 client.
    group_arn
        ARN of the model package group.
    number
        Of the version.

    Returns
    -------
    dict
        ``ModelVersion``, ``Version.Arn`` and ``EndpointConfig.EndpointConfigName``.

    Raises
    ------
    InputRejected
        There is no such version, it is not approved, or the training workflow did not register it.
    """
    arn = f"{group_arn.replace(':model-package-group/', ':model-package/')}/{number}"
    group = group_arn.rpartition("/")[2]
    try:
        package = sagemaker.describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        raise InputRejected(
            f"Execution input rejected: ModelVersion: the model package group {group} has no version {number}. "
            f"aws sagemaker list-model-packages --model-package-group-name {group} lists them."
        ) from error
    status = package.get("ModelApprovalStatus")
    if status != APPROVED:
        reason = f" ({package['ApprovalDescription']})" if package.get("ApprovalDescription") else ""
        raise InputRejected(
            f"Execution input rejected: ModelVersion: version {number} of {group} is {status}{reason}. Approve it in "
            "the model registry: that starts its deployment."
        )
    config = package.get("CustomerMetadataProperties", {}).get(ENDPOINT_CONFIG_NAME)
    if config is None:
        raise InputRejected(
            f"Execution input rejected: ModelVersion: version {number} of {group} names no endpoint config, so the "
            "training workflow did not register it. Choose another version, or train a new one."
        )
    return {"ModelVersion": number, "Version": {"Arn": arn}, "EndpointConfig": {"EndpointConfigName": config}}
