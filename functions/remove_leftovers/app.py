"""Custom resource: deleting the stack also removes what the state machine made, which CloudFormation does not know of.

Endpoints, their configs and models carry the tag ``visitcast:stack``; those with this stack's name go. So do the
versions in the stack's model package group: a group with versions cannot be deleted, and one that stayed would stand in
the way of the next stack, whose group has the same name. Bucket and key stay unless the stack was deployed with
``KeepData=no``; the evaluations that the versions pointed to stay with them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.shared.custom_resource import respond
from functions.shared.object_versions import delete_versions

TAG = "visitcast:stack"
SECONDS_TO_ANSWER = 20
"""Left of the function's time when it gives up, so that CloudFormation hears why."""

logger = Logger(service="remove_leftovers")
sagemaker = boto3.client("sagemaker")
s3 = boto3.client("s3")
kms = boto3.client("kms")


class NotFinished(Exception):  # noqa: N818 (the name is what people read)
    """There was more to remove than the function had time for."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer CloudFormation; only a request to delete does anything.

    Parameters
    ----------
    event
        CloudFormation's request; ``ResourceProperties`` hold ``StackName``, ``ModelPackageGroup`` (its ARN),
        ``KeepData`` (yes or no), ``Bucket`` and ``KeyId`` (the stack's own key, empty when it was brought along).
    context
        Lambda's context object.
    """
    physical_id = event.get("PhysicalResourceId", "visitcast-leftovers")
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_ANSWER
    try:
        if event["RequestType"] == "Delete":
            remove(event["ResourceProperties"], deadline)
    except Exception as error:  # CloudFormation must hear of anything that goes wrong, or it waits for an hour
        logger.exception("leftovers not removed")
        reason = f"Not everything was removed: {error}. Delete the stack again to go on where this ended."
        respond(event, status="FAILED", physical_resource_id=physical_id, reason=reason)
        return
    respond(event, status="SUCCESS", physical_resource_id=physical_id)


def remove(properties: dict[str, str], deadline: float) -> None:
    """Remove what is left; doing it again removes the rest.

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
            # The shortest time that KMS allows; until then CancelKeyDeletion brings it back.
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def remove_endpoints(stack: str, deadline: float) -> None:
    """Delete a stack's endpoints and wait until they are gone: a config in use must not be deleted."""
    names = [name for name, arn in listed("list_endpoints", "Endpoints", "Endpoint") if is_of(stack, arn)]
    for name in names:
        logger.info("endpoint goes", extra={"endpoint": name})
        sagemaker.delete_endpoint(EndpointName=name)
    while still := set(names) & {name for name, _ in listed("list_endpoints", "Endpoints", "Endpoint")}:
        in_time(deadline, f"endpoints {sorted(still)} are still being deleted")
        time.sleep(5)


def remove_model_versions(group: str, deadline: float) -> None:
    """Delete every version in a model package group."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    for arn in [version["ModelPackageArn"] for page in pages for version in page["ModelPackageSummaryList"]]:
        sagemaker.delete_model_package(ModelPackageName=arn)
        in_time(deadline, f"model package group {group} is not empty yet")


def listed(method: str, key: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield name and ARN of everything of a kind in this account and region."""
    for page in sagemaker.get_paginator(method).paginate():  # type: ignore[call-overload]
        for item in page[key]:
            yield item[f"{kind}Name"], item[f"{kind}Arn"]


def is_of(stack: str, arn: str) -> bool:
    """Tell by its tags whether a resource was made by a stack's state machine."""
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {"Key": TAG, "Value": stack} in [tag for page in pages for tag in page["Tags"]]


def remove_bucket(bucket: str, deadline: float) -> None:
    """Delete every version of every object, then the bucket; one that is gone already is fine."""
    try:
        for _ in delete_versions(bucket):
            in_time(deadline, f"bucket {bucket} is not empty yet")
        s3.delete_bucket(Bucket=bucket)
    except s3.exceptions.NoSuchBucket:
        logger.info("bucket is gone already", extra={"bucket": bucket})


def in_time(deadline: float, state: str) -> None:
    """Stop while there is still time to say so.

    Raises
    ------
    NotFinished
        There is none left.
    """
    if time.monotonic() >= deadline:
        raise NotFinished(state)
