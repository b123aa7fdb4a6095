"""One query execution."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from localaws.athena.errors import QueryError
from localaws.athena.results import Column

FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
_COMMENTS = re.compile(r"(\s+|--[^\n]*|/\*.*?\*/)*", re.DOTALL)
_DDL = ("ALTER", "CREATE", "DESCRIBE", "DROP", "MSCK", "SHOW")


@dataclass
class QueryExecution:
    """The state of one query, which the runner changes and the API reads.

    Attributes
    ----------
    output_location
        S3 URI of the result file. For an UNLOAD the beginning of the URIs of its files.
    manifest_location
        S3 URI of the list of files that an UNLOAD wrote.
    role
        ARN of the role that started the query. Athena reads and writes as this role.
    cancelled
        Set to stop the query.
    data_scanned_bytes
        Size of the objects of the query's tables.
    """

    id: str
    query: str
    context: Mapping[str, str]
    work_group: str
    output_location: str
    parameters: Sequence[str] | None = None
    scan_limit_bytes: int | None = None
    role: str = ""
    status: str = "QUEUED"
    reason: str | None = None
    error: QueryError | None = None
    columns: Sequence[Column] = ()
    manifest_location: str | None = None
    data_scanned_bytes: int = 0
    submitted_at: float = field(default_factory=time.time)
    running_at: float | None = None
    planned_at: float | None = None
    finished_at: float | None = None
    connection: duckdb.DuckDBPyConnection | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> bool:
        """Leave the queue. Return False if the query has been cancelled."""
        with self._lock:
            if self.status != "QUEUED":
                return False
            self.status, self.running_at = "RUNNING", time.time()
            return True

    def finish(self, status: str, reason: str | None = None, error: QueryError | None = None) -> bool:
        """Enter a final state, if the query has none yet, and return whether it did."""
        with self._lock:
            if self.status in FINAL:
                return False
            self.status, self.reason, self.error, self.finished_at = status, reason, error, time.time()
            return True

    def cancel(self) -> None:
        """Stop the query, if it has not ended."""
        self.cancelled.set()
        if self.finish("CANCELLED", "Query cancelled by user") and (connection := self.connection) is not None:
            connection.interrupt()

    @property
    def is_ddl(self) -> bool:
        """Return whether the statement defines data."""
        return self.statement in _DDL

    @property
    def statement(self) -> str:
        """Return the first word of the statement after any comments, in upper case."""
        word = re.search(r"\w+", _COMMENTS.sub("", self.query, count=1))
        return word.group().upper() if word else ""

    def describe(self) -> dict[str, Any]:
        """Return QueryExecution as in the answer of GetQueryExecution."""
        status: dict[str, Any] = {"State": self.status, "SubmissionDateTime": self.submitted_at}
        if self.finished_at is not None:
            status["CompletionDateTime"] = self.finished_at
        if self.reason:
            status["StateChangeReason"] = self.reason
        if self.error is not None:
            status["AthenaError"] = {
                "ErrorCategory": self.error.category,
                "ErrorType": self.error.type,
                "Retryable": False,
                "ErrorMessage": self.error.reason,
            }
        described: dict[str, Any] = {
            "QueryExecutionId": self.id,
            "Query": self.query,
            "StatementType": "DDL" if self.is_ddl else "DML",
            "ResultConfiguration": {"OutputLocation": self.output_location},
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
            "QueryExecutionContext": dict(self.context),
            "Status": status,
            "Statistics": self._statistics(),
            "WorkGroup": self.work_group,
            "EngineVersion": {
                "SelectedEngineVersion": "AUTO",
                "EffectiveEngineVersion": "Athena engine version 3",
            },
            "SubstatementType": self.statement,
        }
        if self.parameters:
            described["ExecutionParameters"] = list(self.parameters)
        return described

    def _statistics(self) -> dict[str, Any]:
        end = self.finished_at or time.time()
        started = self.running_at or end
        planned = self.planned_at or started
        manifest = {"DataManifestLocation": self.manifest_location} if self.manifest_location else {}
        return {
            **manifest,
            "EngineExecutionTimeInMillis": _milliseconds(started, end),
            "DataScannedInBytes": self.data_scanned_bytes,
            "TotalExecutionTimeInMillis": _milliseconds(self.submitted_at, end),
            "QueryQueueTimeInMillis": _milliseconds(self.submitted_at, started),
            "ServicePreProcessingTimeInMillis": 0,
            "QueryPlanningTimeInMillis": _milliseconds(started, planned),
            "ServiceProcessingTimeInMillis": 0,
            "ResultReuseInformation": {"ReusedPreviousResult": False},
        }


def _milliseconds(start: float, end: float) -> int:
    return max(0, round((end - start) * 1000))
