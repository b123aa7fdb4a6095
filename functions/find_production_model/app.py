"""Lambda handler of the state "Find production model" of the forecast workflow."""

from __future__ import annotations

from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from functions.shared.s3_uri import bucket_and_key

logger = Logger(service="find_production_model")
s3 = boto3.client("s3")
sagemaker = boto3.client("sagemaker")

PROFILES = "forecasts/profiles/"
NOT_THERE = ("404", "NoSuchKey", "NotFound", "403")
"""S3 answers 403 instead of 404 to who may not list the bucket."""


class NoProductionModel(ValueError):
    """No endpoint says which model to forecast with."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Find the model behind an endpoint, and put its evaluation and the last forecasts' profile beside the run.

    Parameters
    ----------
    event
        ``EndpointName``, ``ReferenceUri`` (s3://bucket/prefix of the run) and ``ForecastDate``.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``ModelName``, ``ModelDataUrl``, ``EndpointConfigName``, and ``References``: what there was to copy.

    Raises
    ------
    NoProductionModel
        There is no such endpoint yet.
    """
    model = production_model(event["EndpointName"])
    bucket, prefix = bucket_and_key(event["ReferenceUri"])
    references = {
        "evaluation.json": evaluation_of(model["ModelDataUrl"]),
        "profile.json": last_profile(bucket, event["ForecastDate"]),
    }
    copied = [name for name, source in references.items() if source and copy(source, bucket, f"{prefix}/{name}")]
    # An S3 prefix without objects fails a processing job, and the first run has nothing to compare with.
    s3.put_object(Bucket=bucket, Key=f"{prefix}/model.txt", Body=model["ModelDataUrl"].encode())
    logger.info("production model found", extra={**model, "references": copied})
    return {**model, "References": copied}


def production_model(endpoint: str) -> dict[str, str]:
    """Follow an endpoint to its model.

    Raises
    ------
    NoProductionModel
        There is no such endpoint.
    """
    try:
        config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    except ClientError as error:
        # DescribeEndpoint has no modelled not-found error: it is told apart by its message.
        if "Could not find endpoint" in str(error):
            raise NoProductionModel(
                f"There is no endpoint {endpoint}, so no model is in production. Run the training workflow first, or "
                "name another endpoint in EndpointName."
            ) from error
        raise
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    name = variants[0]["ModelName"]
    container = sagemaker.describe_model(ModelName=name)["PrimaryContainer"]
    return {"ModelName": name, "ModelDataUrl": container["ModelDataUrl"], "EndpointConfigName": config}


def evaluation_of(model_data_url: str) -> tuple[str, str] | None:
    """Bucket and key of the evaluation of the run that trained a model; None for a model from elsewhere.

    >>> evaluation_of("s3://bucket/runs/20261123-1/models/job/output/model.tar.gz")
    ('bucket', 'runs/20261123-1/evaluation/evaluation.json')
    """
    bucket, key = bucket_and_key(model_data_url)
    folder, models, _ = key.partition("/models/")
    return (bucket, f"{folder}/evaluation/evaluation.json") if models else None


def last_profile(bucket: str, forecast_date: str) -> tuple[str, str] | None:
    """Bucket and key of the last published profile before a date."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PROFILES)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    earlier = [key for key in keys if key < f"{PROFILES}dt={forecast_date}"]
    return (bucket, max(earlier)) if earlier else None


def copy(source: tuple[str, str], bucket: str, key: str) -> bool:
    """Copy an object; False where there is none."""
    try:
        s3.copy_object(CopySource={"Bucket": source[0], "Key": source[1]}, Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_THERE:
            return False
        raise
    return True
