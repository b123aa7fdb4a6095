"""Lambda handler of the state "Copy source file"."""

from __future__ import annotations

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from boto3.s3.transfer import TransferConfig

from functions.shared.s3_uri import bucket_and_key

logger = Logger(service="copy_s3_content")
s3 = boto3.client("s3")

# CopyObject takes at most 5 GB; above the threshold boto3 copies in parts, still inside S3.
MULTIPART_THRESHOLD_BYTES = int(os.environ.get("MULTIPART_THRESHOLD_BYTES", 256 * 1024**2))
PART_BYTES = int(os.environ.get("MULTIPART_PART_BYTES", 256 * 1024**2))
FIRST_BYTES = 64 * 1024  # more than any header line


class EmptyResult(ValueError):
    """The query returned no rows."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Copy one CSV object inside S3, whatever its size.

    The destination changes only when the copy is complete; a failed copy leaves it as it was.

    Parameters
    ----------
    event
        ``SourceUri`` and ``DestinationUri`` (s3://bucket/key).
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``Uri`` and ``SizeInBytes`` of the copy.

    Raises
    ------
    EmptyResult
        The source has no rows below its header. Nothing is written.
    """
    source_bucket, source_key = bucket_and_key(event["SourceUri"])
    bucket, key = bucket_and_key(event["DestinationUri"])
    head = s3.head_object(Bucket=source_bucket, Key=source_key)
    if not has_rows(_first_bytes(source_bucket, source_key, head["ContentLength"])):
        raise EmptyResult(f"{event['SourceUri']} holds no rows. Nothing was copied.")
    s3.copy(
        CopySource={"Bucket": source_bucket, "Key": source_key},
        Bucket=bucket,
        Key=key,
        ExtraArgs={"CopySourceIfMatch": head["ETag"]},  # the source must not change between two parts
        Config=TransferConfig(
            multipart_threshold=MULTIPART_THRESHOLD_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=10
        ),
    )
    logger.info("object copied", extra={"to": event["DestinationUri"], "size_in_bytes": head["ContentLength"]})
    return {"Uri": event["DestinationUri"], "SizeInBytes": head["ContentLength"]}


def has_rows(first_bytes: bytes) -> bool:
    """Return whether a CSV file has anything after its header line."""
    _, _, rest = first_bytes.partition(b"\n")
    return bool(rest.strip())


def _first_bytes(bucket: str, key: str, size: int) -> bytes:
    if size == 0:  # S3 refuses a range of an empty object
        return b""
    return s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{FIRST_BYTES - 1}")["Body"].read()
