"""Checks of requests beyond the model of the API, with the messages of SageMaker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localaws.settings import Image

SUBNET = r"subnet-[0-9a-f]{8,17}"
SECURITY_GROUP = r"sg-[0-9a-f]{8,17}"


def check_vpc(config: Mapping[str, Any] | None) -> None:
    """Check the form of the ids in a VpcConfig, but not whether they exist.

    Raises
    ------
    ValidationError
        An id has another form.
    """
    for member, pattern in (("Subnets", SUBNET), ("SecurityGroupIds", SECURITY_GROUP)):
        for value in (config or {}).get(member, []):
            if not re.fullmatch(pattern, value):
                raise ValidationError(f"VpcConfig.{member}: '{value}' does not exist.")


def check_s3_source(source: Mapping[str, Any]) -> None:
    """Check that a data source is a prefix.

    Raises
    ------
    ValidationError
        It is a manifest file or an augmented manifest file.
    """
    if (kind := source.get("S3DataType", "S3Prefix")) != "S3Prefix":
        raise ValidationError(f"The local region supports the S3DataType S3Prefix only, not {kind}.")


def find_image(uri: str, images: Mapping[str, Image]) -> Image:
    """Return the local command of a container image.

    Parameters
    ----------
    uri
        URI of the image: ``<registry>/<repository>[:tag][@digest]``.

    Raises
    ------
    ValidationError
        The settings have no such image.
    """
    name = re.split(r"[:@]", uri.rpartition("/")[2])[0]
    try:
        return images[name]
    except KeyError:
        known = ", ".join(sorted(images)) or "none"
        raise ValidationError(f"Requested image {uri} not found. Images of this region: {known}.") from None
