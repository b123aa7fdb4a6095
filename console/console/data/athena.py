"""Queries of the stack's tables."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from console.data.stack import Stack, client

Row = dict[str, str]
KEPT = 64
"""Results that are kept: tables change only when a run publishes, and each query of an account costs."""
KEPT_SECONDS = 300
_POLL_SECONDS = 0.1
_results: OrderedDict[tuple[str, str], tuple[float, list[Row]]] = OrderedDict()
_lock = Lock()


class QueryFailedError(RuntimeError):
    """Athena could not run a query."""


def literal(text: str) -> str:
    """Quote a text for SQL.

    >>> literal("O'Hara")
    "'O''Hara'"
    """
    return "'" + text.replace("'", "''") + "'"


def rows(stack: Stack, sql: str) -> list[Row]:
    """Run a query and return its rows as text, empty where a value is null; a recent result is used again.

    Raises
    ------
    QueryFailedError
        With Athena's reason.
    """
    key = (stack.name, sql)
    with _lock:
        found = _results.get(key)
    if found is not None and time.monotonic() - found[0] < KEPT_SECONDS:
        return found[1]
    result = _run(stack, sql)
    with _lock:
        _results[key] = (time.monotonic(), result)
        while len(_results) > KEPT:
            _results.popitem(last=False)
    return result


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Call functions that wait for queries, all at once, and return their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def forget() -> None:
    """Forget all results."""
    with _lock:
        _results.clear()


def _run(stack: Stack, sql: str) -> list[Row]:
    athena = client("athena")
    query = athena.start_query_execution(
        QueryString=sql,
        WorkGroup=stack.outputs["WorkGroupName"],
        QueryExecutionContext={"Database": stack.database},
    )["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
        time.sleep(_POLL_SECONDS)
    if status["State"] != "SUCCEEDED":
        raise QueryFailedError(status.get("StateChangeReason", status["State"]))
    found: list[Row] = []
    names: list[str] = []
    for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=query):
        for row in page["ResultSet"]["Rows"]:
            values = [cell.get("VarCharValue", "") for cell in row["Data"]]
            if names:
                found.append(dict(zip(names, values, strict=True)))
            else:  # the first row of a SELECT has the names
                names = values
    return found
