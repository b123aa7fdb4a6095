"""Checks of requests, with the messages of SageMaker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localaws.settings import Image

JOB_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
MODEL_NAME = r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?"
NAME_LIMIT = 63
SUBNET = r"subnet-[0-9a-f]{8,17}"
SECURITY_GROUP = r"sg-[0-9a-f]{8,17}"
MOST_SUBNETS, MOST_GROUPS = 16, 5


def check_name(value: str | None, parameter: str, pattern: str = JOB_NAME, limit: int = NAME_LIMIT) -> str:
    """Return the name of a resource if SageMaker allows it.

    Parameters
    ----------
    value, parameter
        Name, and the parameter of the request that has it, such as ``TrainingJobName``.
    limit
        Largest number of characters.

    Raises
    ------
    ValidationError
        The name is missing or too long, or has other characters.
    """
    member = parameter[0].lower() + parameter[1:]
    if value is None:
        raise ValidationError(
            f"1 validation error detected: Value null at '{member}' failed to satisfy constraint: "
            "Member must not be null"
        )
    constraint = ""
    if len(value) > limit:
        constraint = f"Member must have length less than or equal to {limit}"
    elif not re.fullmatch(pattern, value):
        constraint = f"Member must satisfy regular expression pattern: ^{pattern}"
    if constraint:
        raise ValidationError(
            f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
        )
    return value


def check_vpc(config: Mapping[str, Any] | None) -> None:
    """Check the form and number of the ids in a VpcConfig, but not whether they exist.

    Raises
    ------
    ValidationError
        An id has another form, or there are too few or too many ids.
    """
    if not config:
        return
    for member, pattern, most in (("Subnets", SUBNET, MOST_SUBNETS), ("SecurityGroupIds", SECURITY_GROUP, MOST_GROUPS)):
        ids = config.get(member) or []
        if not 1 <= len(ids) <= most:
            raise ValidationError(f"VpcConfig.{member} holds {len(ids)} ids; 1 to {most} are allowed.")
        for value in ids:
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
