"""Images in the account's registry."""

from __future__ import annotations

import re

import boto3

ecr = boto3.client("ecr")

URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z.]+/(?P<repository>[^:@]+)"
    r"(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class ImageMissing(Exception):
    """An image that the deployment names does not exist."""


def has(uri: str) -> bool:
    """Return whether the registry has an image, named by ``<registry>/<repository>:<tag>`` or by its digest."""
    place = URI.fullmatch(uri)
    if place is None:
        raise ImageMissing(f"{uri} is not an image of an ECR registry, and SageMaker takes images from nowhere else")
    tag = {} if place["digest"] else {"imageTag": place["tag"] or "latest"}
    digest = {"imageDigest": place["digest"]} if place["digest"] else {}
    try:
        ecr.describe_images(
            registryId=place["account"],
            repositoryName=place["repository"],
            imageIds=[{**tag, **digest}],  # type: ignore[typeddict-item]
        )
    except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
        return False
    return True


def require(images: dict[str, str], account: str, region: str) -> None:
    """Check that given images exist; those of other accounts and regions cannot be checked from here.

    Raises
    ------
    ImageMissing
        An image of this account and region does not exist.
    """
    for image, uri in images.items():
        place = URI.fullmatch(uri)
        if place and (place["account"], place["region"]) != (account, region):
            continue
        if not has(uri):
            raise ImageMissing(
                f"{image.title()}ImageUri names {uri}, which does not exist. Push it first, or leave all four image "
                "URIs empty: then the stack builds its images itself"
            )
