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
from botocore.exceptions import ClientError

from functions.publish_sql.events_table import location, mapped_events
from functions.publish_sql.mapping import Refused, read_mapping
from functions.shared.bundle import SQL
from functions.shared.custom_resource import respond
from functions.shared.object_versions import delete_versions

logger = Logger(service="publish_sql")
s3 = boto3.client("s3")
EVENTS = "events.sql"
"""Published only with a table of one's own; prepare_forecast reads it."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Create, update or delete the published SQL.

    Parameters
    ----------
    event
        CloudFormation's request; ``ResourceProperties.Bucket`` is the bucket to write to. ``EventsDatabase``,
        ``EventsTable`` and ``EventsMapping`` there name a table of one's own; empty for the stack's. The response's
        data hold ``SqlPrefix``, and ``EventsBucket`` and ``EventsObjects`` of a table of one's own. An update deletes
        nothing, since old executions refer to their SQL. Deletion removes all versions, so that a failed first
        deployment can delete its bucket.
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
            events, data = own_events(event["ResourceProperties"])
            data |= publish(bucket, SQL, events)
    except Exception as error:  # without a response CloudFormation waits for an hour
        logger.exception("SQL not published")
        respond(event, status="FAILED", physical_resource_id=physical_id, reason=f"SQL not published: {error}")
        return
    respond(event, status="SUCCESS", physical_resource_id=physical_id, data=data)


def own_events(properties: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return the query that reads a table of one's own, and where its objects are; empty for the stack's table.

    Raises
    ------
    Refused
        The table does not exist or cannot be read as events.
    """
    database, table = properties.get("EventsDatabase", ""), properties.get("EventsTable", "")
    if not table:
        return "", {}
    try:
        found: Any = boto3.client("glue").get_table(DatabaseName=database, Name=table)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("EntityNotFoundException", "AccessDeniedException"):
            raise
        raise Refused(
            f"The table {database}.{table} cannot be described.",
            f"{error}.",
            "Check EventsDatabase and EventsTable; with Lake Formation grant DESCRIBE and SELECT to the stack's roles.",
        ) from error
    bucket, prefix = location(found)
    query = mapped_events(found, read_mapping(properties.get("EventsMapping", "")))
    return query, {"EventsBucket": bucket, "EventsObjects": f"{bucket}/{prefix}*"}


def publish(bucket: str, folder: Path, events: str = "") -> dict[str, str]:
    """Upload every ``*.sql`` file of a folder under a prefix made of their digest.

    Parameters
    ----------
    bucket
        Where to.
    folder
        Of the SQL files.
    events
        Query that stands for the events table; it is uploaded too. Empty for the stack's table.

    Returns
    -------
    dict
        ``SqlPrefix``: a file's key is ``<SqlPrefix>/<file name>``.
    """
    texts = {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.sql"))}
    texts = composed(texts, f"(\n{events}\n)" if events else "events")
    if events:
        texts[EVENTS] = events
    digest = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:16]
    prefix = f"sql/{digest}"
    for name, text in texts.items():
        s3.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=text.encode())
    logger.info("SQL published", extra={"prefix": prefix, "files": list(texts)})
    return {"SqlPrefix": prefix}


def composed(texts: dict[str, str], events: str = "events") -> dict[str, str]:
    """Replace ``${name}`` by the text of ``<name>.sql`` in the other files; Athena has no include.

    An included file may include others. ``${events}`` becomes `events`, a table's name or a query in parentheses.

    >>> composed({"a.sql": "SELECT 1", "b.sql": "UNLOAD (${a}) TO '${destination}'"})["b.sql"]
    "UNLOAD (SELECT 1) TO '${destination}'"
    """
    result = dict(texts)
    for _ in texts:
        for included in texts:
            marker = f"${{{included.removesuffix('.sql')}}}"
            result = {name: body.replace(marker, result[included]) for name, body in result.items()}
    return {name: body.replace("${events}", events) for name, body in result.items()}
