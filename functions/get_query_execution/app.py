"""Lambda handler of the state "Get source SQL status"."""

from __future__ import annotations

from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="get_query_execution")
athena = boto3.client("athena")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the state of a query.

    Parameters
    ----------
    event
        ``QueryExecutionId``.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``QueryExecutionId``, ``State`` (QUEUED, RUNNING, SUCCEEDED, FAILED or CANCELLED), ``Reason`` (Athena's message
        or ""), ``OutputLocation`` (S3 address of the result) and ``DataScannedInBytes``.
    """
    query = athena.get_query_execution(QueryExecutionId=event["QueryExecutionId"])["QueryExecution"]
    status = query["Status"]
    found = {
        "QueryExecutionId": query["QueryExecutionId"],
        "State": status["State"],
        "Reason": status.get("StateChangeReason", ""),
        "OutputLocation": query.get("ResultConfiguration", {}).get("OutputLocation", ""),
        "DataScannedInBytes": query.get("Statistics", {}).get("DataScannedInBytes", 0),
    }
    logger.info("query state read", extra=found)
    return found
