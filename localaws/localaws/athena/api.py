"""The operations of Athena's API on queries. moto answers those on work groups, catalogs and tags."""

from __future__ import annotations

import json
from typing import Any, cast

from moto.athena.responses import AthenaResponse

from localaws.athena.backend import PAGE_LIMIT, LocalAthenaBackend


class LocalAthenaResponse(AthenaResponse):
    """moto's Athena API with other operations on queries."""

    @property
    def _backend(self) -> LocalAthenaBackend:
        return cast(LocalAthenaBackend, self.athena_backend)

    def start_query_execution(self) -> str:
        """Answer StartQueryExecution."""
        return json.dumps({"QueryExecutionId": self._backend.start(json.loads(self.body))})

    def get_query_execution(self) -> str:
        """Answer GetQueryExecution."""
        execution = self._backend.execution(self._get_param("QueryExecutionId"))
        return json.dumps({"QueryExecution": execution.describe()})

    def get_query_results(self) -> str:
        """Answer GetQueryResults."""
        page = self._backend.result_page(
            self._get_param("QueryExecutionId"),
            self._get_param("NextToken"),
            int(self._get_param("MaxResults", PAGE_LIMIT)),
        )
        return json.dumps(page)

    def stop_query_execution(self) -> str:
        """Answer StopQueryExecution. A query that has ended keeps its state."""
        self._backend.execution(self._get_param("QueryExecutionId")).cancel()
        return "{}"

    def list_query_executions(self) -> str:
        """Answer ListQueryExecutions with one page, the newest first."""
        name = self._get_param("WorkGroup") or "primary"
        executions: list[Any] = list(self._backend.executions.values())
        newest = [execution.id for execution in reversed(executions) if execution.work_group == name]
        start = int(self._get_param("NextToken") or 0)
        end = start + int(self._get_param("MaxResults") or 50)
        answer: dict[str, Any] = {"QueryExecutionIds": newest[start:end]}
        if end < len(newest):
            answer["NextToken"] = str(end)
        return json.dumps(answer)
