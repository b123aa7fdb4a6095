"""One region holds the events of one app: forecasts, models and plans of other users are never mixed with one's own."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from demo.errors import DemoError
from demo.upload import held_events

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sagemaker.client import SageMakerClient

_FORECASTS = "forecasts/"
"""What every forecast run leaves in the bucket."""


def are_other_events(held: Collection[str], files: Collection[str]) -> bool:
    """Return whether events are of other users than those that a bucket holds.

    The key of a date's events holds their digest. A longer or corrected export of the same app shares dates with the
    one before; two apps share none.
    """
    return bool(held) and set(held).isdisjoint(files)


def refuse_other_events(s3: S3Client, bucket: str, files: Collection[str], events: Path) -> None:
    """Refuse events for a region that has made models or forecasts of other users'.

    Raises
    ------
    DemoError
        With the two ways out.
    """
    if are_other_events(held_events(s3, bucket), files):
        raise DemoError(
            "This region holds the events of other users.",
            f"Of the dates in {events} none has the events that the region was given before. Its models, forecasts and "
            "plans are of those users, and would be mixed with these.",
            "`make down` ends the region with all that it holds; then start again. To keep it, use a second region: "
            'DEMO_ARGS="--home build/another-region".',
        )


def make_room(
    s3: S3Client, sagemaker: SageMakerClient, bucket: str, group: str, files: Collection[str], events: Path
) -> None:
    """Prepare a region for a training on one's own events: models of other users' events leave its registry.

    Raises
    ------
    DemoError
        Forecasts of other users have been made here.
    """
    if not are_other_events(held_events(s3, bucket), files):
        return
    if s3.list_objects_v2(Bucket=bucket, Prefix=_FORECASTS, MaxKeys=1).get("KeyCount"):
        refuse_other_events(s3, bucket, files, events)
    for page in sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group):
        for version in page["ModelPackageSummaryList"]:
            sagemaker.delete_model_package(ModelPackageName=version["ModelPackageArn"])
