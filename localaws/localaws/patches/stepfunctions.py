"""Patches of moto's Step Functions."""

from __future__ import annotations

from localaws.patches import Patch, replaced_by
from localaws.settings import Settings
from localaws.stepfunctions import interpreter

_ASL = "moto.stepfunctions.parser.asl"
_TASK = f"{_ASL}.component.state.exec.state_task"
_AWS_SDK = f"{_TASK}.service.state_task_service_aws_sdk"
_NAMELESS_ERRORS = (
    "InvalidDefinition",
    "InvalidExecutionInput",
    "InvalidToken",
    "MissingRequiredParameter",
    "ResourceNotFound",
    "TaskDoesNotExist",
    "TaskTimedOut",
)
_RESPONSE = "moto.stepfunctions.responses:StepFunctionResponse"


def patches(settings: Settings) -> list[Patch]:
    """List the patches."""
    from localaws.stepfunctions import execution_log, mock_cases, responses
    from localaws.stepfunctions.backend import LocalStepFunctions

    return [
        Patch(
            "moto.stepfunctions.parser.models:stepfunctions_parser_backends.backend",
            "Names, versions, aliases and aborted executions differ from AWS.",
            replaced_by(LocalStepFunctions),
        ),
        Patch(
            f"{_TASK}.state_task_factory:state_task_service_for",
            "The optimised integrations of SageMaker and Athena are absent.",
            interpreter.with_job_services(settings),
        ),
        Patch(
            f"{_ASL}.utils.boto_client:boto3",
            "Clients address the region as localhost, which breaks S3's addressing of buckets.",
            replaced_by(interpreter.shared_clients(settings)),
        ),
        Patch(
            f"{_TASK}.service.state_task_service:StateTaskService._eval_execution",
            "Tasks are not called in the name of the state machine's role.",
            interpreter.in_the_name_of_its_role,
        ),
        Patch(
            f"{_ASL}.component.state.wait.wait_function.wait_function:WaitFunction._wait_interval",
            "Wait states must be scaled, and end early when the execution does.",
            replaced_by(interpreter.scaled_wait(settings.wait_scale)),
        ),
        Patch(
            f"{_ASL}.component.common.retry.retrier_decl:time",
            "The delays of Retry must be scaled.",
            replaced_by(interpreter.scaled_sleep(settings.retry_scale)),
        ),
        Patch(
            "moto.stepfunctions.parser.backend.execution:Execution.get_start_execution_details",
            "$$.Execution.StartTime is a datetime, which no JSON can hold.",
            interpreter.with_text_start_time,
        ),
        Patch(
            "moto.stepfunctions.parser.backend.execution:Execution.start",
            "The logging configuration has no effect.",
            execution_log.with_log(settings),
        ),
        Patch(
            "moto.stepfunctions.parser.backend.execution_worker:ExecutionWorker._get_evaluation_environment",
            "$$.Execution.RedriveCount is missing; executions cannot be given mocked responses.",
            lambda original: mock_cases.with_mock_case(interpreter.with_redrive_count(original)),
        ),
        Patch(
            f"{_AWS_SDK}:StateTaskServiceAwsSdk._eval_service_task",
            "Datetimes in the result of an aws-sdk call break DescribeExecution.",
            interpreter.with_json_result,
        ),
        Patch(
            f"{_TASK}.service.state_task_service_sfn:StateTaskServiceSfn._eval_service_task",
            "StateMachineArn of states:startExecution reaches boto3 as it is, which knows stateMachineArn alone.",
            interpreter.with_names_of_integration,
        ),
        Patch(
            f"{_AWS_SDK}:_SERVICE_ERROR_NAMES",
            "Error names begin with the service in lower case.",
            interpreter.with_error_prefixes,
        ),
        Patch(
            f"{_AWS_SDK}:StateTaskServiceAwsSdk._normalise_exception_name",
            "HeadObject of a missing key has another error name.",
            interpreter.with_s3_not_found,
        ),
        Patch(
            f"{_ASL}.utils.json_path:_is_singleton_array_access",
            "A definite path through an array, as $.a[0].b is, gives a list instead of the value.",
            replaced_by(interpreter.is_definite_path),
        ),
        Patch(
            f"{_ASL}.component.common.error_name.custom_error_name:CustomErrorName.__init__",
            "An uncaught States.* error inside Map or Parallel turns into States.Runtime.",
            interpreter.any_error_name,
        ),
        Patch(
            f"{_ASL}.eval.environment:Environment.set_error",
            "An error of a task that is being stopped turns ABORTED into FAILED.",
            interpreter.unless_over,
        ),
        Patch(
            f"{_RESPONSE}.stop_execution",
            "Error and cause are dropped.",
            replaced_by(responses.stop_execution),
        ),
        Patch(
            f"{_RESPONSE}.get_execution_history",
            "maxResults, nextToken and reverseOrder are ignored.",
            replaced_by(responses.get_execution_history),
        ),
        Patch(
            f"{_RESPONSE}.send_task_failure",
            "The cause is dropped.",
            replaced_by(responses.send_task_failure),
        ),
        Patch(
            f"{_RESPONSE}.describe_execution",
            "An execution that has timed out has no stop date; an output that is a text is no JSON.",
            responses.with_end,
        ),
        *(
            Patch(
                f"moto.stepfunctions.parser.api:{name}.TYPE",
                "The error reaches callers without a code.",
                replaced_by(name),
            )
            for name in _NAMELESS_ERRORS
        ),
    ]
