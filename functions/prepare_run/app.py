"""Lambda handler of the state "Prepare run"."""

from __future__ import annotations

from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.prepare_run.contradictions import contradictions
from functions.prepare_run.deployment import Deployment
from functions.prepare_run.model_version import describe_version, refuse_training_keys
from functions.prepare_run.plan import plan_run
from functions.shared.execution_input import load_schema, validated

logger = Logger(service="prepare_run")
sagemaker = boto3.client("sagemaker")
SCHEMA = load_schema("train")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Validate the execution input and plan the run.

    Parameters
    ----------
    event
        ``Input`` (the execution input), ``ExecutionId`` (ARN) and ``ExecutionStartTime`` (ISO-8601, UTC).
    context
        Lambda's context object.

    Returns
    -------
    dict
        The run: names, S3 addresses and instance settings; see `functions.prepare_run.plan.plan_run`. With a
        ModelVersion in the input also that version; see `functions.prepare_run.model_version.describe_version`.

    Raises
    ------
    InputRejected
        The input violates its JSON Schema, or names a version that cannot be deployed. The message lists every
        violation.
    """
    execution_input = validated(event["Input"], SCHEMA, contradictions)
    deployment = Deployment.from_environment()
    run = plan_run(
        execution_input,
        execution_id=event["ExecutionId"],
        started_at=event["ExecutionStartTime"],
        deployment=deployment,
    )
    if "ModelVersion" in execution_input:
        refuse_training_keys(event["Input"])
        run |= describe_version(sagemaker, deployment.model_package_group_arn, execution_input["ModelVersion"])
    logger.info("run prepared", extra={"run_id": run["RunId"], "names": run["Names"]})
    return run
