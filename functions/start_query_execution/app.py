"""Lambda handler of the state "Run source SQL"."""

from __future__ import annotations

import hashlib
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.shared.s3_uri import bucket_and_key
from functions.shared.sql_text import without_comment_lines

logger = Logger(service="start_query_execution")
s3 = boto3.client("s3")
athena = boto3.client("athena")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Read the SQL file from S3 and start it in the work group.

    Idempotent: the client request token is a digest of execution and SQL, so a retried start returns the first query.
    An UNLOAD needs that, since its destination must be empty.

    Parameters
    ----------
    event
        ``SqlUri`` (s3://bucket/key.sql), ``DestinationUri`` (replaces ``${destination}`` in the SQL),
        ``Database``, ``WorkGroup`` and ``ExecutionId`` (ARN). ``CountsSqlUri``, if given, is a second query, of
        counts over the same events, which runs beside the first.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``QueryExecutionId``, and ``CountsQueryExecutionId``, which is empty without a second query.
    """
    started = start(event["SqlUri"], event)
    counts = start(event["CountsSqlUri"], event) if "CountsSqlUri" in event else ""
    return {"QueryExecutionId": started, "CountsQueryExecutionId": counts}


def start(uri: str, event: dict[str, Any]) -> str:
    """Start the query of an SQL file; return its id."""
    bucket, key = bucket_and_key(uri)
    sql = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8")
    sql = without_comment_lines(sql).replace("${destination}", event["DestinationUri"])
    response = athena.start_query_execution(
        QueryString=sql,
        ClientRequestToken=request_token(event["ExecutionId"], sql),
        QueryExecutionContext={"Database": event["Database"]},
        WorkGroup=event["WorkGroup"],
    )
    query_execution_id = response["QueryExecutionId"]
    logger.info("query started", extra={"query_execution_id": query_execution_id, "sql_uri": uri})
    return query_execution_id


def request_token(execution_id: str, sql: str) -> str:
    """Return Athena's client request token (32 to 128 characters), one for each execution and SQL text."""
    return hashlib.sha256(f"{execution_id}\n{sql}".encode()).hexdigest()
