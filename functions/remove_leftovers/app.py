"""Custom resource that deletes with the stack what the state machine made, which CloudFormation does not manage.

It deletes the endpoints, endpoint configs and models whose tag ``visitcast:stack`` has this stack's name, and the
versions in the stack's model package group: a group with versions cannot be deleted, and would block the next stack,
whose group has the same name. Bucket and key stay unless the stack was deployed with ``KeepData=no``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from functions.shared.custom_resource import respond
from functions.shared.object_versions import delete_versions

TAG = "visitcast:stack"
SECONDS_TO_ANSWER = 20
"""Remaining time of the function at which it gives up, so that it can still respond to CloudFormation."""
SECONDS_BETWEEN_LOOKS = 5

logger = Logger(service="remove_leftovers")
sagemaker = boto3.client("sagemaker")
s3 = boto3.client("s3")
kms = boto3.client("kms")


class NotFinished(Exception):
    """The function ran out of time."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Respond to CloudFormation; only a request to delete changes anything.

    Parameters
    ----------
    event
        CloudFormation's request; ``ResourceProperties`` hold ``StackName``, ``ModelPackageGroup`` (its ARN),
        ``KeepData`` (yes or no), ``Bucket`` and ``KeyId`` (of the stack's own key; empty if the key was given).
    context
        Lambda's context object.
    """
    physical_id = event.get("PhysicalResourceId", "visitcast-leftovers")
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_ANSWER
    try:
        if event["RequestType"] == "Delete":
            remove(event["ResourceProperties"], deadline)
    except Exception as error:  # without a response CloudFormation waits for an hour
        logger.exception("leftovers not removed")
        reason = f"Not everything was removed: {error}. Delete the stack again to continue."
        respond(event, status="FAILED", physical_resource_id=physical_id, reason=reason)
        return
    respond(event, status="SUCCESS", physical_resource_id=physical_id)


def remove(properties: dict[str, str], deadline: float) -> None:
    """Remove everything; a second call removes what the first one did not.

    Raises
    ------
    NotFinished
        Time is up.
    """
    stack = properties["StackName"]
    remove_endpoints(stack, deadline)
    for name, arn in listed("list_endpoint_configs", "EndpointConfigs", "EndpointConfig"):
        if is_of(stack, arn):
            sagemaker.delete_endpoint_config(EndpointConfigName=name)
    for name, arn in listed("list_models", "Models", "Model"):
        if is_of(stack, arn):
            sagemaker.delete_model(ModelName=name)
    remove_model_versions(properties["ModelPackageGroup"], deadline)
    if properties["KeepData"] == "no":
        remove_bucket(properties["Bucket"], deadline)
        if key := properties["KeyId"]:
            # KMS's minimum; until then CancelKeyDeletion restores the key.
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def remove_endpoints(stack: str, deadline: float) -> None:
    """Delete a stack's endpoints and wait until they are gone: a config in use cannot be deleted."""
    waiting = {name for name, arn in listed("list_endpoints", "Endpoints", "Endpoint") if is_of(stack, arn)}
    deleting: set[str] = set()
    while waiting:
        deleting |= {name for name in waiting - deleting if begin_deletion(name)}
        waiting &= {name for name, _ in listed("list_endpoints", "Endpoints", "Endpoint")}
        if waiting:
            in_time(deadline, f"endpoints {sorted(waiting)} are still being created, updated or deleted")
            time.sleep(SECONDS_BETWEEN_LOOKS)


def begin_deletion(name: str) -> bool:
    """Begin to delete an endpoint; return False where SageMaker refuses, as it does while one is created or updated."""
    try:
        sagemaker.delete_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        logger.info("endpoint cannot be deleted yet", extra={"endpoint": name, "reason": str(error)})
        return False
    logger.info("deleting endpoint", extra={"endpoint": name})
    return True


def remove_model_versions(group: str, deadline: float) -> None:
    """Delete every version in a model package group."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    for arn in [version["ModelPackageArn"] for page in pages for version in page["ModelPackageSummaryList"]]:
        sagemaker.delete_model_package(ModelPackageName=arn)
        in_time(deadline, f"model package group {group} is not empty yet")


def listed(method: str, key: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the name and ARN of every resource of a kind in this account and region."""
    for page in sagemaker.get_paginator(method).paginate():  # type: ignore[call-overload]
        for item in page[key]:
            yield item[f"{kind}Name"], item[f"{kind}Arn"]


def is_of(stack: str, arn: str) -> bool:
    """Return whether a resource has the tag of a stack."""
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {"Key": TAG, "Value": stack} in [tag for page in pages for tag in page["Tags"]]


def remove_bucket(bucket: str, deadline: float) -> None:
    """Delete every version of every object, then the bucket, unless it is already gone."""
    try:
        for _ in delete_versions(bucket):
            in_time(deadline, f"bucket {bucket} is not empty yet")
        s3.delete_bucket(Bucket=bucket)
    except s3.exceptions.NoSuchBucket:
        logger.info("bucket is gone already", extra={"bucket": bucket})


def in_time(deadline: float, state: str) -> None:
    """Raise an error at the deadline.

    Raises
    ------
    NotFinished
        The deadline has passed.
    """
    if time.monotonic() >= deadline:
        raise NotFinished(state)
