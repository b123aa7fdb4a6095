"""The state machines and executions of one account and region."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import threading
import time
from typing import Any
from uuid import uuid4

from moto.core.exceptions import AWSError
from moto.stepfunctions.exceptions import InvalidToken, StateMachineDoesNotExist
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from localaws.stepfunctions import mock_cases


class StateMachineAlreadyExists(AWSError):  # noqa: N818 - AWS's name
    """A state machine with this name has another definition."""

    TYPE = "StateMachineAlreadyExists"
    STATUS = 400


FINAL = frozenset(
    {ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.ABORTED, ExecutionStatus.TIMED_OUT}
)


PARSING_SECONDS = 30
"""Longest time to wait until an execution has begun."""


class LocalStepFunctions(StepFunctionsParserBackend):
    """moto's backend with names, versions, aliases and histories as on AWS."""

    # The base class derives its URLs from the module's name.
    __module__ = "moto.stepfunctions.models"

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._starting = threading.Lock()

    def create_state_machine(self, name: str, definition: str, *arguments: Any, **options: Any) -> Any:
        """Create a state machine. A name that is taken by one with another definition is an error."""
        arn = f"arn:{self.partition}:states:{self.region_name}:{self.account_id}:stateMachine:{name}"
        existing = next((machine for machine in self.state_machines if machine.arn == arn), None)
        if existing is not None and existing.definition != definition:
            raise StateMachineAlreadyExists(f"State Machine Already Exists: '{arn}'")
        return super().create_state_machine(name, definition, *arguments, **options)

    def describe_state_machine(self, arn: str) -> Any:
        """Return the state machine with an ARN, which may be that of a version or an alias.

        A version is returned as a copy of its machine with the version's definition, since moto cannot run a version.
        """
        owner_arn, _, qualifier = arn.rpartition(":")
        owner = next((machine for machine in self.state_machines if machine.arn == owner_arn), None)
        if owner is None:
            return super().describe_state_machine(arn)
        if qualifier in owner.aliases:
            # If an alias splits traffic, its first version is used, so that tests are repeatable.
            qualifier = owner.aliases[qualifier].routing_configuration[0]["stateMachineVersionArn"].rpartition(":")[2]
        version = owner.versions.get(int(qualifier)) if qualifier.isdecimal() else None
        if version is None:
            raise StateMachineDoesNotExist(f"State Machine Does Not Exist: '{arn}'")
        machine = copy.copy(owner)  # with the same list of executions
        machine.arn, machine.definition, machine.roleArn = version.arn, version.definition, version.roleArn
        machine.creation_date, machine.description = version.creation_date, version.description
        return machine

    def start_execution(
        self, state_machine_arn: str, name: str | None = None, execution_input: str | None = None, *arguments: Any
    ) -> Any:
        """Start an execution. Without a name it gets a UUID, as on AWS."""
        if name:
            self._validate_name(name)
        name = name or str(uuid4())
        state_machine_arn, _, case = state_machine_arn.partition("#")
        if case:
            machine = self.describe_state_machine(state_machine_arn).name
            arn = f"arn:{self.partition}:states:{self.region_name}:{self.account_id}:execution:{machine}:{name}"
            mock_cases.active[arn] = mock_cases.load(machine, case)
        with self._starting:
            execution: Any = super().start_execution(state_machine_arn, name, execution_input or "{}", *arguments)
        # Until its thread has parsed the definition, moto can neither stop the execution nor return its history.
        end = time.monotonic() + PARSING_SECONDS
        while execution.exec_worker.env is None and time.monotonic() < end:
            time.sleep(0.005)
        return execution

    def list_executions(self, *arguments: Any, **options: Any) -> Any:
        """List the executions of a state machine. moto fails on one that is just being started."""
        with self._starting:
            return super().list_executions(*arguments, **options)

    def stop_execution(self, execution_arn: str, error: str | None = None, cause: str | None = None) -> Any:
        """Abort an execution. The status changes at once, and the running task is stopped in the background."""
        execution: Any = self.describe_execution(execution_arn)
        if execution.exec_status not in FINAL:
            now = dt.datetime.now(tz=dt.UTC)
            execution.exec_status, execution.stop_date = ExecutionStatus.ABORTED, now
            execution.error, execution.cause = error, cause
            execution.stop(stop_date=now, error=error, cause=cause)
        return execution

    def history_page(
        self, execution_arn: str, *, reverse: bool, limit: int, token: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return one page of an execution's events and the token of the next page."""
        events: list[Any] = super().get_execution_history(execution_arn)["events"]
        if reverse:
            # The token names the newest event of the first page, so that later events do not shift the pages.
            newest, start = (int(part) for part in token.split("-")) if token else (len(events), 0)
            events = events[:newest][::-1]
        else:
            newest, start = len(events), int(token or 0)
        if not 0 <= start <= len(events):
            raise InvalidToken(f"Invalid Token: '{token}'")
        page = list(itertools.islice(events, start, start + limit))
        following = start + len(page)
        if following >= len(events):
            return page, None
        return page, f"{newest}-{following}" if reverse else str(following)
