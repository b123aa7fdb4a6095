"""Operations of the API whose parameters or results moto drops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from localaws.stepfunctions.backend import FINAL

MAX_RESULTS = 1000
"""GetExecutionHistory returns at most this many events (API reference)."""


def stop_execution(self: Any) -> Any:
    """Answer StopExecution, with error and cause."""
    execution = self.stepfunction_backend.stop_execution(
        self._get_param("executionArn"), error=self._get_param("error"), cause=self._get_param("cause")
    )
    return ActionResult({"stopDate": execution.stop_date})


def get_execution_history(self: Any) -> Any:
    """Answer GetExecutionHistory with one page."""
    events, token = self.stepfunction_backend.history_page(
        self._get_param("executionArn"),
        reverse=bool(self._get_param("reverseOrder")),
        limit=self._get_param("maxResults") or MAX_RESULTS,
        token=self._get_param("nextToken"),
    )
    return ActionResult({"events": events, **({"nextToken": token} if token else {})})


def with_end(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add the stop date of an execution that has timed out, and return an output that is a string as JSON."""

    def describe_execution(self: Any) -> Any:
        answer = original(self)
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.exec_status in FINAL and execution.stop_date:
            answer.result["stopDate"] = execution.stop_date
        if "output" in answer.result:
            answer.result["output"] = to_json_str(execution.output, separators=(",", ":"))
        return answer

    return describe_execution
