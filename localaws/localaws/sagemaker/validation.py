"""What SageMaker refuses before anything starts, in its own words."""

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
    """Return a resource's name if SageMaker allows it.

    Parameters
    ----------
    value, parameter
        The name, and of which request parameter (``TrainingJobName``).
    limit
        Most characters.

    Raises
    ------
    ValidationError
        The name is missing, too long or has other characters.
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
    """Refuse a VpcConfig with ids that are none. Whether they exist is not asked: no job here has a network.

    Raises
    ------
    ValidationError
        An id has another form, or there are too few or too many.
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
    """Refuse a data source that is not a prefix.

    Raises
    ------
    ValidationError
        It is a manifest, or a file with records to augment.
    """
    if (kind := source.get("S3DataType", "S3Prefix")) != "S3Prefix":
        raise ValidationError(f"The local region reads an S3DataType of S3Prefix only, not {kind}.")


def find_image(uri: str, images: Mapping[str, Image]) -> Image:
    """Return the local stand-in for a container image.

    Parameters
    ----------
    uri
        ``<registry>/<repository>[:tag][@digest]``.

    Raises
    ------
    ValidationError
        There is none: the registry has no such image, as it were.
    """
    name = re.split(r"[:@]", uri.rpartition("/")[2])[0]
    try:
        return images[name]
    except KeyError:
        known = ", ".join(sorted(images)) or "none"
        raise ValidationError(f"Requested image {uri} not found. Images of this region: {known}.") from None
