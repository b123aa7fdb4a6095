"""Lambda handler of the states "Record deployment" and "Record failed deployment" of the training workflow."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from functions.shared.model_registry import listed_versions

logger = Logger(service="record_deployment")
sagemaker = boto3.client("sagemaker")

LONGEST_DESCRIPTION = 1024
"""Characters of a version's ApprovalDescription, which may hold no control character.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
"""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[int]]:
    """Reject the version whose deployment failed, or the newer versions that a rollback has replaced.

    So the newest approved version is always the one in production. A version that the endpoint serves stays approved,
    whatever failed.

    Parameters
    ----------
    event
        ``ModelPackageArn`` (of the version), ``EndpointName``, ``EndpointConfigName``, ``ExecutionId`` (ARN),
        ``ExecutionStartTime`` (ISO-8601, UTC), and after a failure ``Failure`` with its ``Error`` and ``Cause``.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``RejectedVersions``, the numbers of the versions that were rejected.
    """
    execution = event["ExecutionId"].rpartition(":")[2]
    if failure := event.get("Failure"):
        versions = [] if is_served(event["EndpointName"], event["EndpointConfigName"]) else [event["ModelPackageArn"]]
        reason = f"Deployment by execution {execution} failed: {failure['Error']}: {failure['Cause']}"
    else:
        versions = replaced_versions(event["ModelPackageArn"], event["ExecutionStartTime"])
        reason = f"Rolled back to version {number_of(event['ModelPackageArn'])} by execution {execution}"
    for version in versions:
        sagemaker.update_model_package(
            ModelPackageArn=version, ModelApprovalStatus="Rejected", ApprovalDescription=one_line(reason)
        )
    rejected = [number_of(version) for version in versions]
    logger.info("deployment recorded", extra={"rejected_versions": rejected, "reason": reason})
    return {"RejectedVersions": rejected}


def is_served(endpoint: str, config: str) -> bool:
    """Return whether an endpoint is in service with a config."""
    try:
        found = sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if "Could not find endpoint" in str(error):  # DescribeEndpoint has no modelled not-found error
            return False
        raise
    return bool(found["EndpointStatus"] == "InService" and found["EndpointConfigName"] == config)


def replaced_versions(version: str, started_at: str) -> list[str]:
    """Return the ARNs of the newer versions that had been approved when the execution began.

    A version approved since then is a later decision, and its own execution deploys it.
    """
    start = datetime.fromisoformat(started_at.replace("Z", "+00:00"))
    replaced = []
    for newer in listed_versions(sagemaker, os.environ["MODEL_PACKAGE_GROUP"]):
        if newer["ModelPackageVersion"] <= number_of(version):
            break
        package = sagemaker.describe_model_package(ModelPackageName=newer["ModelPackageArn"])
        if package.get("LastModifiedTime", package["CreationTime"]) < start:
            replaced.append(newer["ModelPackageArn"])
    return replaced


def number_of(arn: str) -> int:
    """Return the number of a version.

    >>> number_of("arn:aws:sagemaker:eu-central-1:123456789012:model-package/visitcast-dev/7")
    7
    """
    return int(arn.rpartition("/")[2])


def one_line(text: str) -> str:
    """Return a text that the registry accepts: without control characters, and cut to the longest description.

    >>> one_line("Column platform" + chr(10) + "  is missing")
    'Column platform is missing'
    """
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:LONGEST_DESCRIPTION]
