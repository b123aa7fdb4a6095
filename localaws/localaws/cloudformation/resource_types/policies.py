"""AWS::S3::BucketPolicy."""

from __future__ import annotations

from localaws.cloudformation.resource import Handled, Request, ResourceError, ResourceType, put_again


def _accept_bucket_policy(request: Request) -> Handled:
    """Check that the bucket exists and that the policy is an object. Do not store the policy.

    moto enforces bucket policies but ignores their conditions. The usual ``Deny`` of requests without TLS, which the
    bucket of sam has too, would deny all requests.
    """
    if not isinstance(request.properties.get("PolicyDocument"), dict):
        raise ResourceError("PolicyDocument must be an object.")
    request.call("s3", "head_bucket", Bucket=request.properties["Bucket"])
    return Handled(request.name)


def _forget_bucket_policy(request: Request, physical_id: str) -> None:
    """Delete nothing: the policy was not stored."""


TYPES = (
    ResourceType(
        "AWS::S3::BucketPolicy",
        _accept_bucket_policy,
        _forget_bucket_policy,
        put_again(_accept_bucket_policy),
        replaced_by=frozenset({"Bucket"}),
    ),
)
