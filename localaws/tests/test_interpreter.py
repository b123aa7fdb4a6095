"""moto's interpreter of state machines where a test through the API would have to be lucky."""

from __future__ import annotations

import datetime as dt
import json
from types import SimpleNamespace
from typing import Any

import pytest
from moto.stepfunctions.parser.api import HistoryEventType, StateMachineType
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import AWSExecutionDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from state_machines import machine

from localaws.stepfunctions.language import unless_stopped

TASK = {
    "Type": "Task",
    "Resource": "arn:aws:states:::aws-sdk:s3:headObject",
    "Parameters": {"Bucket": "b", "Key": "k"},
    "TimeoutSeconds": 60,
}


@pytest.mark.parametrize("stopped", [False, True])
def test_only_a_running_branch_schedules_a_task(*, stopped: bool) -> None:
    # Between its parameters and its timeout, a failed sibling may stop a branch. moto then takes the state's input for
    # the timeout and puts it into the event, with which GetExecutionHistory fails for ever.
    program, _ = AmazonStateLanguageParser.parse(json.dumps(machine(TASK)))
    details: Any = AWSExecutionDetails("123456789012", "eu-central-1", "arn:aws:iam::123456789012:role/any")
    environment = Environment(
        aws_execution_details=details,
        execution_type=StateMachineType.STANDARD,
        context={"Execution": {"Input": {}}},  # type: ignore[typeddict-item]
        event_history_context=EventHistoryContext.of_program_start(),
        cloud_watch_logging_session=None,
        activity_store={},
    )
    environment.next_state_name = "First"
    environment.stack.append({"the whole": "input"})
    if stopped:
        environment.set_stop(stop_date=dt.datetime.now(tz=dt.UTC), cause=None, error=None)
    schedule = unless_stopped(StateTaskService._before_eval_execution)
    schedule(program.states.states["First"], environment, SimpleNamespace(region="eu-central-1"), {}, None)
    events = environment.event_manager.get_event_history()
    scheduled = [event for event in events if event["type"] == HistoryEventType.TaskScheduled]
    timeouts = [event["taskScheduledEventDetails"]["timeoutInSeconds"] for event in scheduled]
    assert timeouts == ([] if stopped else [60])
    assert environment.stack == [{"the whole": "input"}]
