"""Lambda handler of the state "Find production model" of both workflows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from functions.shared.model_registry import ANCHOR_LEAD, GATE_PASSED, MODEL_NAME, REJECTED, listed_versions
from functions.shared.s3_uri import bucket_and_key

logger = Logger(service="find_production_model")
s3 = boto3.client("s3")
sagemaker: Any = boto3.client("sagemaker")

PROFILES = "forecasts/profiles/"
WEEKS_AGO = 4
"""Weeks before the forecast date whose profile is compared with. If that run published nothing, there is none: an older
one would only get older while drift stops every run."""
BASELINE = "baseline"
"""Value of ``OnNoModel``, and of the serving image's variable that makes it forecast by the baseline."""
FORECASTER = "VISITCAST_FORECASTER"
NOT_THERE = ("404", "NoSuchKey", "NotFound", "403")
"""S3 answers 403 instead of 404 to a caller that may not list the bucket."""


class NoProductionModel(ValueError):
    """No version of the model registry is approved."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Find the model in production, which is the newest approved version of the model registry.

    Parameters
    ----------
    event
        Of a training run ``DefaultModelDataUrl``: the model to return, without a version, where none is in production.
        Of a forecast run ``ReferenceUri`` (s3://bucket/prefix of the run) and ``ForecastDate``: the evaluation of the
        model and the profile of the forecasts of four weeks ago are copied there. ``OnNoModel``: with ``baseline``, and
        without an approved version, the newest version that the gate rejected lends its baseline.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``ModelVersion`` (as text; empty for the default), ``ModelName``, ``ModelDataUrl``, ``AnchorLead`` (as text;
        0 where the version has none), ``Environment`` of the transform, and ``References``, the names of the objects
        that were copied.

    Raises
    ------
    NoProductionModel
        No version is approved, and the event names no default and no baseline may take its place.
    """
    group = os.environ["MODEL_PACKAGE_GROUP"]
    package, environment = production_version(group), {}
    if package is None and event.get("OnNoModel") == BASELINE:
        package, environment = rejected_by_gate(group), {FORECASTER: BASELINE}
    if package is None:
        if "DefaultModelDataUrl" not in event:
            raise NoProductionModel(
                f"The model package group {group} has no approved version. Run the training workflow first, or approve "
                "a version that waits for it. After a run that ended in Model rejected, OnNoModel: baseline forecasts."
            )
        default = {"ModelVersion": "", "ModelName": "", "ModelDataUrl": event["DefaultModelDataUrl"]}
        return {**default, ANCHOR_LEAD: "0", "Environment": {}, "References": []}
    properties = package["CustomerMetadataProperties"]
    found = {
        "ModelVersion": str(package["ModelPackageVersion"]),
        "ModelName": properties[MODEL_NAME],
        ANCHOR_LEAD: properties.get(ANCHOR_LEAD, "0"),
        "ModelDataUrl": package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"],
        "Environment": environment,
    }
    copied: list[str] = []
    if "ReferenceUri" in event:
        bucket, prefix = bucket_and_key(event["ReferenceUri"])
        references = {
            "evaluation.json": bucket_and_key(package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]),
            "profile.json": (bucket, earlier_profile(event["ForecastDate"])),
        }
        copied = [name for name, source in references.items() if copy(source, bucket, f"{prefix}/{name}")]
        # An S3 prefix without objects fails a processing job, and the first run has nothing to compare with.
        s3.put_object(Bucket=bucket, Key=f"{prefix}/model.txt", Body=found["ModelDataUrl"].encode())
    logger.info("production model found", extra={**found, "references": copied})
    return {**found, "References": copied}


def production_version(group: str) -> dict[str, Any] | None:
    """Describe the newest approved version of a model package group; None if no version is approved."""
    return next(described(group), None)


def rejected_by_gate(group: str) -> dict[str, Any] | None:
    """Describe the newest version that the gate rejected, and not a person or a deployment; None if there is none."""
    rejected = described(group, REJECTED)
    return next((found for found in rejected if found["CustomerMetadataProperties"].get(GATE_PASSED) == "false"), None)


def described(group: str, *status: str) -> Iterator[dict[str, Any]]:
    """Describe the versions of a status, the newest first."""
    for version in listed_versions(sagemaker, group, *status):
        yield sagemaker.describe_model_package(ModelPackageName=version["ModelPackageArn"])


def earlier_profile(forecast_date: str) -> str:
    """Return the key of the profile to compare with."""
    return f"{PROFILES}dt={date.fromisoformat(forecast_date) - timedelta(weeks=WEEKS_AGO)}.json"


def copy(source: tuple[str, str], bucket: str, key: str) -> bool:
    """Copy an object; return False if it does not exist."""
    try:
        s3.copy_object(CopySource={"Bucket": source[0], "Key": source[1]}, Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_THERE:
            return False
        raise
    return True
