"""Deletion of objects with all their versions."""

from __future__ import annotations

from collections.abc import Iterator

import boto3

s3 = boto3.client("s3")


def delete_versions(bucket: str, prefix: str = "") -> Iterator[int]:
    """Delete every version of every object under a prefix. A bucket that does not exist has none.

    Yields
    ------
    int
        Number of deleted versions, after each page of at most 1,000, so that the caller can check the time.

    Raises
    ------
    RuntimeError
        A version could not be deleted.
    """
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if not found:
                continue
            objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})  # type: ignore[typeddict-item]
            if errors := answer.get("Errors"):
                raise RuntimeError(f"{errors[0]['Key']}: {errors[0]['Message']}")
            yield len(objects)
    except s3.exceptions.NoSuchBucket:
        return
