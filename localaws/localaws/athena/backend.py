"""The queries of one account and region."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from moto.athena.models import AthenaBackend
from moto.core.exceptions import JsonRESTError

from localaws import s3files
from localaws.athena import results, sql, unload
from localaws.athena.errors import MalformedQueryError
from localaws.athena.execution import QueryExecution
from localaws.athena.runner import Runner
from localaws.identity import acting
from localaws.settings import Settings

PAGE_LIMIT = 1000
"""GetQueryResults returns at most this many rows (API reference)."""


class InvalidRequestError(JsonRESTError):
    """InvalidRequestException of Athena."""

    code = 400

    def __init__(self, message: str) -> None:
        super().__init__("InvalidRequestException", message)


class LocalAthenaBackend(AthenaBackend):
    """moto's backend with queries that run."""

    # The base class derives its URLs from the module's name.
    __module__ = "moto.athena.models"
    settings: ClassVar[Settings]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.executions: dict[str, QueryExecution] = {}  # type: ignore[assignment]
        self._tokens: dict[str, tuple[str, str]] = {}
        self._start_lock = threading.Lock()
        self._store = s3files.Store(account_id, region_name)
        self._runner = Runner(account_id, region_name, self.settings.home / "athena" / account_id / region_name)

    def reset(self) -> None:
        """Stop and remove all queries."""
        for execution in self.executions.values():
            execution.cancel()
        super().reset()

    def start(self, request: Mapping[str, Any]) -> str:
        """Start the query of a StartQueryExecution request and return its id.

        Raises
        ------
        InvalidRequestError
            The query is malformed, its work group or result bucket does not exist, or its token belongs to another one.
        """
        token = request.get("ClientRequestToken")
        fingerprint = json.dumps({**request, "ClientRequestToken": None}, sort_keys=True)
        with self._start_lock:
            if token and token in self._tokens:
                known, execution_id = self._tokens[token]
                if known != fingerprint:
                    raise InvalidRequestError("Idempotent parameters do not match")
                return execution_id
            execution = self._admit(request)
            self.executions[execution.id] = execution
            if token:
                self._tokens[token] = fingerprint, execution.id
        self._runner.start(execution)
        return execution.id

    def execution(self, execution_id: str) -> QueryExecution:
        """Return the execution with an id.

        Raises
        ------
        InvalidRequestError
            It does not exist.
        """
        try:
            return self.executions[execution_id]
        except KeyError:
            raise InvalidRequestError(f"QueryExecution {execution_id} was not found") from None

    def result_page(self, execution_id: str, token: str | None, limit: int) -> dict[str, Any]:
        """Return one page of a result, which is read from the result file in S3 as on AWS.

        Raises
        ------
        InvalidRequestError
            The query has not succeeded, the token is not one of its tokens, or its result file is gone.
        """
        execution = self.execution(execution_id)
        if execution.status in ("QUEUED", "RUNNING"):
            raise InvalidRequestError(f"Query has not yet finished. Current state: {execution.status}")
        if execution.status != "SUCCEEDED":
            raise InvalidRequestError(f"Query did not finish successfully. Final query state: {execution.status}")
        if not 1 <= limit <= PAGE_LIMIT:
            raise InvalidRequestError(f"MaxResults is more than maximum allowed length {PAGE_LIMIT}.")
        owner, _, start = (token or f"{execution_id}:0").partition(":")
        if owner != execution_id or not start.isdigit():
            raise InvalidRequestError("Invalid pagination token")
        reader = results.rows(lambda at, length: self._store.read(execution.output_location, at, length), int(start))
        page: list[list[str | None]] = []
        position = int(start)
        try:
            for row, behind in reader:
                if len(page) == limit:
                    break
                page.append(row)
                position = behind
            else:
                position = 0
        except s3files.ObjectNotFoundError:
            raise InvalidRequestError(f"Could not find results in {execution.output_location}") from None
        answer: dict[str, Any] = {
            "UpdateCount": 0,
            "ResultSet": {
                "Rows": [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in page],
                "ResultSetMetadata": {"ColumnInfo": [column.describe() for column in execution.columns]},
            },
        }
        if position:
            answer["NextToken"] = f"{execution_id}:{position}"
        return answer

    def _admit(self, request: Mapping[str, Any]) -> QueryExecution:
        """Check a request and return its execution."""
        name = request.get("WorkGroup") or "primary"
        work_group = self.work_groups.get(name)
        if work_group is None:
            raise InvalidRequestError(f"WorkGroup {name} is not found.")
        if work_group.state != "ENABLED":
            raise InvalidRequestError(f"WorkGroup {name} is disabled.")
        configuration = work_group.configuration
        own = configuration.get("ResultConfiguration") or {}
        asked = request.get("ResultConfiguration") or {}
        result = own if _is_true(configuration.get("EnforceWorkGroupConfiguration")) else {**own, **asked}
        if not result.get("OutputLocation"):
            raise InvalidRequestError(
                "No output location provided. An output location is required either through the Workgroup result "
                "configuration setting or as an API input."
            )
        try:
            bucket, _ = s3files.split_uri(result["OutputLocation"])
            order = unload.parse(request["QueryString"])
            sql.parse(order.query if order else request["QueryString"])
        except (ValueError, MalformedQueryError) as error:
            raise InvalidRequestError(str(error)) from error
        if not self._store.has_bucket(bucket):
            raise InvalidRequestError(f"Unable to verify/create output bucket {bucket}")
        execution_id = str(uuid.uuid4())
        cutoff = configuration.get("BytesScannedCutoffPerQuery")
        return QueryExecution(
            id=execution_id,
            query=request["QueryString"],
            context=request.get("QueryExecutionContext") or {},
            work_group=name,
            output_location=f"{result['OutputLocation'].rstrip('/')}/{execution_id}{'' if order else '.csv'}",
            parameters=request.get("ExecutionParameters"),
            scan_limit_bytes=None if cutoff is None else int(cutoff),
            role=acting(),
        )


def _is_true(value: object) -> bool:
    """Return a flag that may be a text, as from CloudFormation."""
    return str(value).lower() == "true"
