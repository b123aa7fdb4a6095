"""Custom resource that uploads the SQL files during `sam deploy`.

Each version has its own prefix, a digest of all SQL files. The same deployment gives the state machine the new prefix,
so a running execution keeps the SQL that it started with.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.shared.bundle import SQL
from functions.shared.custom_resource import respond
from functions.shared.object_versions import delete_versions

logger = Logger(service="publish_sql")
s3 = boto3.client("s3")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Create, update or delete the published SQL.

    Parameters
    ----------
    event
        CloudFormation's request; ``ResourceProperties.Bucket`` is the bucket to write to. The response's data hold
        ``SqlPrefix``. An update deletes nothing, since old executions refer to their SQL. Deletion removes all
        versions, so that a failed first deployment can delete its bucket.
    context
        Lambda's context object.
    """
    physical_id = event.get("PhysicalResourceId", "visitcast-sql")
    try:
        bucket = event["ResourceProperties"]["Bucket"]
        if event["RequestType"] == "Delete":
            data: dict[str, str] = {}
            deleted = sum(delete_versions(bucket, "sql/"))
            logger.info("SQL deleted", extra={"versions": deleted})
        else:
            data = publish(bucket, SQL)
    except Exception as error:  # without a response CloudFormation waits for an hour
        logger.exception("SQL not published")
        respond(event, status="FAILED", physical_resource_id=physical_id, reason=f"SQL not published: {error}")
        return
    respond(event, status="SUCCESS", physical_resource_id=physical_id, data=data)


def publish(bucket: str, folder: Path) -> dict[str, str]:
    """Upload every ``*.sql`` file of a folder under a prefix made of their digest.

    Returns
    -------
    dict
        ``SqlPrefix``: a file's key is ``<SqlPrefix>/<file name>``.
    """
    texts = composed({file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.sql"))})
    digest = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:16]
    prefix = f"sql/{digest}"
    for name, text in texts.items():
        s3.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=text.encode())
    logger.info("SQL published", extra={"prefix": prefix, "files": list(texts)})
    return {"SqlPrefix": prefix}


def composed(texts: dict[str, str]) -> dict[str, str]:
    """Replace ``${name}`` by the text of ``<name>.sql`` in the other files; Athena has no include.

    An included file may include others.

    >>> composed({"a.sql": "SELECT 1", "b.sql": "UNLOAD (${a}) TO '${destination}'"})["b.sql"]
    "UNLOAD (SELECT 1) TO '${destination}'"
    """
    result = dict(texts)
    for included in texts:
        marker = f"${{{included.removesuffix('.sql')}}}"
        result = {name: body.replace(marker, result[included]) for name, body in result.items()}
    return result
