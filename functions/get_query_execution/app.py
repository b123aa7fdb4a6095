"""Lambda handler of the state "Get source SQL status"."""

from __future__ import annotations

from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.get_query_execution.rules import notes_on, refusal_of, remedy_for

logger = Logger(service="get_query_execution")
athena = boto3.client("athena")
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the state of the source SQL, and judge the events by the counts of the query beside it.

    Events that break a rule make the state FAILED, before anything is made from them.

    Parameters
    ----------
    event
        ``QueryExecutionId``, and ``CountsQueryExecutionId``, if there is such a query.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``QueryExecutionId``, ``State`` (QUEUED, RUNNING, SUCCEEDED, FAILED or CANCELLED), ``Reason`` (Athena's message
        or the rule that the events break, with the remedy, or ""), ``OutputLocation`` (S3 address of the result),
        ``DataScannedInBytes`` of both queries, ``CountsQueryExecutionId``, and ``Events``: the counts and, as
        ``Notes``, what people should know of them; empty until both queries have succeeded.
    """
    found = state_of(event["QueryExecutionId"])
    counts_id = event.get("CountsQueryExecutionId", "")
    events: dict[str, Any] = {}
    if counts_id and found["State"] == "SUCCEEDED":
        beside = state_of(counts_id)
        found["DataScannedInBytes"] += beside["DataScannedInBytes"]
        found |= {"State": beside["State"], "Reason": beside["Reason"]}
        if beside["State"] == "SUCCEEDED":
            counts = counts_of(counts_id)
            events = {**counts, "Notes": notes_on(counts)}
            if refusal := refusal_of(counts):
                found |= {"State": "FAILED", "Reason": refusal}
    elif found["State"] == "FAILED":
        found["Reason"] = f"{found['Reason'].rstrip('. ')}. {remedy_for(found['Reason'])}"
    found |= {"CountsQueryExecutionId": counts_id, "Events": events}
    logger.info("query state read", extra=found)
    return found


def state_of(query_execution_id: str) -> dict[str, Any]:
    """Describe a query."""
    query = athena.get_query_execution(QueryExecutionId=query_execution_id)["QueryExecution"]
    return {
        "QueryExecutionId": query["QueryExecutionId"],
        "State": query["Status"]["State"],
        "Reason": query["Status"].get("StateChangeReason", ""),
        "OutputLocation": query.get("ResultConfiguration", {}).get("OutputLocation", ""),
        "DataScannedInBytes": query.get("Statistics", {}).get("DataScannedInBytes", 0),
    }


def counts_of(query_execution_id: str) -> dict[str, int]:
    """Return the one row of a query by the names of its columns."""
    names, row = athena.get_query_results(QueryExecutionId=query_execution_id)["ResultSet"]["Rows"]
    pairs = zip(names["Data"], row["Data"], strict=True)
    return {name["VarCharValue"]: int(value["VarCharValue"]) for name, value in pairs}
