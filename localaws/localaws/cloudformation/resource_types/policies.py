"""AWS::IAM::ManagedPolicy and AWS::S3::BucketPolicy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from localaws.cloudformation.resource import Handled, Request, ResourceError, ResourceType, put_again

PRINCIPALS = {
    "Roles": ("attach_role_policy", "detach_role_policy", "RoleName"),
    "Users": ("attach_user_policy", "detach_user_policy", "UserName"),
    "Groups": ("attach_group_policy", "detach_group_policy", "GroupName"),
}


def _create_managed_policy(request: Request) -> Handled:
    answer = request.call(
        "iam",
        "create_policy",
        PolicyName=request.name,
        PolicyDocument=json.dumps(request.properties["PolicyDocument"]),
        **request.pick("Description", "Path"),
    )
    arn = answer["Policy"]["Arn"]
    _attach(request, arn)
    return Handled(arn, {"PolicyArn": arn})


def _update_managed_policy(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    arn = current.physical_id
    if request.properties["PolicyDocument"] != old_properties["PolicyDocument"]:
        # A policy has at most five versions (IAM quota): the previous default makes room.
        versions = request.call("iam", "list_policy_versions", PolicyArn=arn)["Versions"]
        for version in (version for version in versions if not version["IsDefaultVersion"]):
            request.call("iam", "delete_policy_version", PolicyArn=arn, VersionId=version["VersionId"])
        document = json.dumps(request.properties["PolicyDocument"])
        request.call("iam", "create_policy_version", PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    _detach(request, arn, old_properties)
    _attach(request, arn)
    return current


def _delete_managed_policy(request: Request, physical_id: str) -> None:
    _detach(request, physical_id, request.properties)
    for version in request.call("iam", "list_policy_versions", PolicyArn=physical_id)["Versions"]:
        if not version["IsDefaultVersion"]:
            request.call("iam", "delete_policy_version", PolicyArn=physical_id, VersionId=version["VersionId"])
    request.call("iam", "delete_policy", PolicyArn=physical_id)


def _attach(request: Request, arn: str) -> None:
    for kind, (attach, _, parameter) in PRINCIPALS.items():
        for name in request.properties.get(kind, []):
            request.call("iam", attach, PolicyArn=arn, **{parameter: name})


def _detach(request: Request, arn: str, properties: Mapping[str, Any]) -> None:
    for kind, (_, detach, parameter) in PRINCIPALS.items():
        for name in properties.get(kind, []):
            with suppress(ClientError):  # the role may be gone already
                request.call("iam", detach, PolicyArn=arn, **{parameter: name})


def _accept_bucket_policy(request: Request) -> Handled:
    """Check that the bucket exists and the policy is a document; store neither.

    moto enforces bucket policies but ignores their conditions. The usual ``Deny`` of requests without TLS, which
    sam's own bucket has as well, would lock everyone out of the bucket.
    """
    if not isinstance(request.properties.get("PolicyDocument"), dict):
        raise ResourceError("PolicyDocument must be an object.")
    request.call("s3", "head_bucket", Bucket=request.properties["Bucket"])
    return Handled(request.name)


def _forget_bucket_policy(request: Request, physical_id: str) -> None:
    """Delete nothing: nothing was stored."""


TYPES = (
    ResourceType(
        "AWS::IAM::ManagedPolicy",
        _create_managed_policy,
        _delete_managed_policy,
        _update_managed_policy,
        "ManagedPolicyName",
        frozenset({"Description", "Path"}),
    ),
    ResourceType(
        "AWS::S3::BucketPolicy",
        _accept_bucket_policy,
        _forget_bucket_policy,
        put_again(_accept_bucket_policy),
        replaced_by=frozenset({"Bucket"}),
    ),
)
