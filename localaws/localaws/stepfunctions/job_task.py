"""Optimized integrations that start a job, with and without ``.sync``, which waits until the job has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from localaws.clients import client
from localaws.settings import Settings
from localaws.stepfunctions.json_values import epoch_milliseconds

POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Job:
    """How to follow a job that an API call has started.

    Attributes
    ----------
    identifier
        Parameter that names the job in `describe` and `stop`.
    from_response
        Whether the identifier is in the response. Otherwise the caller chose it.
    describe, stop
        Methods of the boto3 client.
    status
        Returns the status in the answer of `describe`.
    detail
        Returns the part of this answer that becomes the cause of a failure.
    succeeded, failed
        Final statuses.
    """

    identifier: str
    from_response: bool
    describe: str
    stop: str
    status: Callable[[Mapping[str, Any]], str]
    detail: Callable[[Mapping[str, Any]], Any]
    succeeded: frozenset[str]
    failed: frozenset[str]


class JobTask(StateTaskServiceCallback):
    """A Task state that calls one service. Subclasses name the service and its actions.

    Attributes
    ----------
    service
        Name of the service in boto3.
    prefix
        Prefix of error names.
    unmodelled
        Error name, after the prefix, of errors that are not in the service's model.
    actions
        Methods of the boto3 client that may be called.
    jobs
        Jobs of those actions that support ``.sync``.
    fields
        Parameters of actions for which they are not those of the API.
    """

    service: ClassVar[str]
    prefix: ClassVar[str]
    unmodelled: ClassVar[str]
    actions: ClassVar[frozenset[str]]
    jobs: ClassVar[Mapping[str, Job]]
    fields: ClassVar[Mapping[str, frozenset[str]]] = {}

    def __init__(self, settings: Settings) -> None:
        # The base class sets up the wait for a job only if a wait for a task token is supported too.
        patterns: set[Any] = {ResourceCondition.WaitForTaskToken, ResourceCondition.Sync}
        super().__init__(patterns)
        self._settings = settings

    def _get_supported_parameters(self) -> set[str] | None:
        action = self._get_boto_service_action()
        condition = self.resource.condition
        known = action in self.actions and (
            condition is None or (condition == ResourceCondition.Sync and action in self.jobs)
        )
        # With None CreateStateMachine refuses the definition, as on AWS.
        return set(self.fields.get(action, ())) if known else None

    def _eval_service_task(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        del state_credentials
        response = self._call(resource_runtime_part.region, self._get_boto_service_action(), normalised_parameters)
        env.stack.append(epoch_milliseconds(response))

    def _build_sync_resolver(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> Any:
        """Return a function that returns the description of the job if it has succeeded, and one that stops the job."""
        del state_credentials
        started = env.stack.pop()
        job = self.jobs[self._get_boto_service_action()]
        source = started if job.from_response else normalised_parameters
        key = {job.identifier: source[job.identifier]}
        region = resource_runtime_part.region

        def poll() -> Any:
            description = epoch_milliseconds(self._call(region, job.describe, key))
            status = job.status(description)
            if status in job.failed:
                cause = to_json_str(job.detail(description))
                raise FailureEventException(self._failure(env, "", cause, StatesErrorNameType.StatesTaskFailed))
            return description if status in job.succeeded else None

        return poll, lambda: self._call(region, job.stop, key)

    def _eval_sync(
        self, env: Any, sync_resolver: Any, timeout_seconds: Any, callback_endpoint: Any, heartbeat_endpoint: Any
    ) -> Any:
        del timeout_seconds, callback_endpoint, heartbeat_endpoint
        poll, stop = sync_resolver
        while env.is_running():
            if (result := poll()) is not None:
                return result
            time.sleep(POLL_SECONDS)
        # The execution was aborted or timed out, or a sibling branch failed. A job may have ended just now.
        with suppress(ClientError):
            stop()
        return None

    def _after_eval_execution(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        if self.resource.condition is not None:
            details = {
                "resource": self._get_sfn_resource(),
                "resourceType": self._get_sfn_resource_type(),
                "output": to_json_str(env.stack[-1]),
                "outputDetails": {"truncated": False},
            }
            env.event_manager.add_event(
                context=env.event_history_context,
                event_type=HistoryEventType.TaskSubmitted,
                event_details={"taskSubmittedEventDetails": details},
            )
            if not env.is_mocked_mode():
                self._eval_integration_pattern(
                    env=env,
                    resource_runtime_part=resource_runtime_part,
                    normalised_parameters=normalised_parameters,
                    state_credentials=state_credentials,
                )
            if not env.is_running():
                return  # a stopped task has no result
        # Not super(), which would wait for the job again.
        StateTaskService._after_eval_execution(
            self, env, resource_runtime_part, normalised_parameters, state_credentials
        )

    def _from_error(self, env: Any, ex: Exception) -> FailureEvent:
        if isinstance(ex, ClientError):
            error, metadata = ex.response["Error"], ex.response["ResponseMetadata"]
            shape = type(ex).__name__
            modelled = shape if shape.endswith("Exception") else f"{shape}Exception"
            name = f"{self.prefix}.{self.unmodelled if shape == 'ClientError' else modelled}"
            service = self.unmodelled.removesuffix("Exception")
            cause = (
                f"{error.get('Message', '')} (Service: {service}; Status Code: {metadata['HTTPStatusCode']}; "
                f"Error Code: {error['Code']}; Request ID: {metadata.get('RequestId')}; Proxy: null)"
            )
            return self._failure(env, name, cause)
        return super()._from_error(env=env, ex=ex)

    def _call(self, region: str, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = getattr(client(self._settings, self.service, region, checks=False), method)(
            **parameters
        )
        response.pop("ResponseMetadata", None)
        return response

    def _failure(
        self, env: Any, name: str, cause: str, states_error: StatesErrorNameType | None = None
    ) -> FailureEvent:
        error_name = StatesErrorName(typ=states_error) if states_error else CustomErrorName(name)
        details: Any = {
            "taskFailedEventDetails": {
                "error": error_name.error_name,
                "cause": cause,
                "resource": self._get_sfn_resource(),
                "resourceType": self._get_sfn_resource_type(),
            }
        }
        return FailureEvent(
            env=env,
            error_name=error_name,
            event_type=HistoryEventType.TaskFailed,
            event_details=details,
        )
