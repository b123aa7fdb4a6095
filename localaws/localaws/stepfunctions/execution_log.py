"""The log of executions in CloudWatch Logs, according to the logging configuration of their state machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.eval.event.logging import is_logging_enabled_for

from localaws.clients import client
from localaws.settings import Settings

LAST_EVENTS = frozenset({"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"})


class ExecutionLog:
    """Writes the events of one execution.

    A thread of its own sends them, since the interpreter holds a lock while it publishes an event.
    """

    def __init__(self, settings: Settings, region: str, group: str, level: str, arn: str, *, with_data: bool) -> None:
        self.execution_arn = arn
        self.configuration = SimpleNamespace(include_execution_data=with_data)
        self._level = level
        self._settings, self._region = settings, region
        machine, _, execution = arn.rpartition(":")
        self._where = {
            "logGroupName": group,
            "logStreamName": f"states/{machine.rpartition(':')[2]}/{time.strftime('%Y-%m-%d-%H-%M')}/{execution}",
        }
        self._queue: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        Thread(target=self._send, daemon=True, name=f"log of {execution}").start()

    def log_level_filter(self, history_event_type: Any) -> bool:
        """Return whether an event is logged at the configured level."""
        return bool(is_logging_enabled_for(self._level, history_event_type))  # type: ignore[arg-type]

    def publish_history_log(self, history_log: dict[str, Any]) -> None:
        """Log an event."""
        self._queue.put({"timestamp": int(time.time() * 1000), "message": json.dumps(history_log, default=str)})
        if history_log["type"] in LAST_EVENTS:
            self._queue.put(None)

    def _send(self) -> None:
        # This thread acts as the operator: AWS delivers these logs itself, not as the role that starts an execution.
        logs = client(self._settings, "logs", self._region)
        with suppress(ClientError):  # as on AWS, a deleted group does not stop the execution
            logs.create_log_stream(**self._where)
            while (event := self._queue.get()) is not None:
                logs.put_log_events(**self._where, logEvents=[event])


def with_log(settings: Settings) -> Callable[[Any], Callable[[Any], None]]:
    """Give an execution its log when it starts."""

    def make(original: Callable[[Any], None]) -> Callable[[Any], None]:
        def start(self: Any) -> None:
            configuration = self.state_machine.loggingConfiguration
            if configuration.get("destinations") and configuration.get("level", "OFF") != "OFF":
                # arn:aws:logs:region:account:log-group:NAME:*
                group = configuration["destinations"][0]["cloudWatchLogsLogGroup"]["logGroupArn"].split(":")[6]
                self._cloud_watch_logging_session = ExecutionLog(
                    settings,
                    self.region_name,
                    group,
                    configuration["level"],
                    self.exec_arn,
                    with_data=bool(configuration.get("includeExecutionData", False)),
                )
            original(self)

        return start

    return make
