"""Patches of moto's Step Functions."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from localaws.clients import client
from localaws.identity import acting_as
from localaws.patches import Patch, replaced_by
from localaws.settings import Settings
from localaws.stepfunctions.json_values import epoch_milliseconds, iso_times

_ASL = "moto.stepfunctions.parser.asl"
_TASK = f"{_ASL}.component.state.exec.state_task"
_AWS_SDK = f"{_TASK}.service.state_task_service_aws_sdk"
_NAMELESS_ERRORS = (
    "InvalidDefinition",
    "InvalidExecutionInput",
    "InvalidToken",
    "MissingRequiredParameter",
    "ResourceNotFound",
)
_RESPONSE = "moto.stepfunctions.responses:StepFunctionResponse"

AWS_SDK_PREFIXES = {
    "athena": "Athena",
    "cloudformation": "CloudFormation",
    "cloudwatch": "CloudWatch",
    "cloudwatchlogs": "CloudWatchLogs",
    "dynamodb": "DynamoDb",
    "ecr": "Ecr",
    "eventbridge": "EventBridge",
    "glue": "Glue",
    "iam": "Iam",
    "kms": "Kms",
    "lambda": "Lambda",
    "s3": "S3",
    "sagemaker": "SageMaker",
    "sagemakerruntime": "SageMakerRuntime",
    "secretsmanager": "SecretsManager",
    "sfn": "Sfn",
    "sns": "Sns",
    "sqs": "Sqs",
    "ssm": "Ssm",
    "sts": "Sts",
}
"""Prefix of error names by service. These are the names in the AWS SDK for Java 2.x, which Step Functions uses."""


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    from localaws.stepfunctions import execution_log, language, mock_cases, parameters, responses
    from localaws.stepfunctions.backend import LocalStepFunctions

    return [
        Patch(
            "moto.stepfunctions.parser.models:stepfunctions_parser_backends.backend",
            "Names, versions, aliases and aborted executions differ from AWS.",
            replaced_by(LocalStepFunctions),
        ),
        Patch(
            f"{_TASK}.state_task_factory:state_task_service_for",
            "The optimized integrations of SageMaker and Athena are missing.",
            with_job_services(settings),
        ),
        Patch(
            f"{_ASL}.utils.boto_client:boto3",
            "Clients address the region as localhost, with which boto3 puts the bucket into the host name.",
            replaced_by(shared_clients(settings)),
        ),
        Patch(
            f"{_TASK}.state_task:StateTask._eval_parameters",
            "Parameters that an integration does not have are dropped.",
            parameters.checked,
        ),
        Patch(
            f"{_TASK}.service.state_task_service:StateTaskService._normalise_parameters",
            "Names in PascalCase are passed to boto3, which expects those of the API.",
            parameters.with_names_of_the_api,
        ),
        Patch(
            f"{_TASK}.service.state_task_service:StateTaskService._validate_service_integration_is_supported",
            "A definition with a parameter that an integration does not have is accepted.",
            parameters.refused_at_creation,
        ),
        Patch(
            f"{_TASK}.service.state_task_service:StateTaskService._eval_execution",
            "Tasks are not called as the role of the state machine.",
            in_the_name_of_its_role,
        ),
        Patch(
            f"{_ASL}.component.state.wait.wait_function.wait_function:WaitFunction._wait_interval",
            "Wait states are not scaled and do not end with the execution.",
            replaced_by(scaled_wait(settings.wait_scale)),
        ),
        Patch(
            f"{_ASL}.component.common.retry.retrier_decl:time",
            "The delays of Retry are not scaled.",
            replaced_by(scaled_sleep(settings.retry_scale)),
        ),
        Patch(
            f"{_ASL}.parse.asl_parser:AmazonStateLanguageParser.parse",
            "Every execution parses the definition again, for half a second.",
            with_kept_trees,
        ),
        Patch(
            "moto.stepfunctions.parser.backend.execution:Execution.get_start_execution_details",
            "$$.Execution.StartTime is a datetime, which is not JSON.",
            with_text_start_time,
        ),
        Patch(
            "moto.stepfunctions.parser.backend.execution:Execution.start",
            "The logging configuration is ignored.",
            execution_log.with_log(settings),
        ),
        Patch(
            "moto.stepfunctions.parser.backend.execution_worker:ExecutionWorker._get_evaluation_environment",
            "$$.Execution.RedriveCount is missing; executions cannot be given mocked responses.",
            lambda original: mock_cases.with_mock_case(with_redrive_count(original)),
        ),
        Patch(
            f"{_AWS_SDK}:StateTaskServiceAwsSdk._eval_service_task",
            "Datetimes in the result of an aws-sdk call break DescribeExecution.",
            with_json_result,
        ),
        Patch(
            f"{_TASK}.service.state_task_service_sfn:StateTaskServiceSfn._eval_service_task",
            "The answer of states:startExecution has executionArn for ExecutionArn.",
            with_answer_of_integration,
        ),
        Patch(
            f"{_AWS_SDK}:_SERVICE_ERROR_NAMES",
            "Error names begin with the name of the service in lower case.",
            with_error_prefixes,
        ),
        Patch(
            f"{_AWS_SDK}:StateTaskServiceAwsSdk._normalise_exception_name",
            "The error of HeadObject for a missing key has another name on AWS.",
            with_s3_not_found,
        ),
        Patch(
            f"{_ASL}.component.common.error_name.error_equals_decl:ErrorEqualsDecl._eval_body",
            "States.ALL matches States.Runtime.",
            language.not_caught,
        ),
        Patch(
            f"{_ASL}.component.state.choice.comparison.comparison_variable:ComparisonVariable._eval_body",
            "A comparison with a variable that does not exist is false.",
            language.of_present_variables,
        ),
        *(
            Patch(
                f"{_ASL}.component.state.fail.{field}_decl:{field.title()}Path._eval_body",
                "The value at ErrorPath or CausePath may be a number or an object.",
                language.must_be_text,
            )
            for field in ("error", "cause")
        ),
        Patch(
            f"{_ASL}.parse.intrinsic.intrinsic_parser:IntrinsicParser.parse",
            "An escaped apostrophe ends the text that it is in.",
            language.with_escaped_apostrophes,
        ),
        Patch(
            f"{_ASL}.parse.intrinsic.preprocessor:Preprocessor._text_of_str",
            "An escaped apostrophe ends the text that it is in.",
            language.with_apostrophes,
        ),
        Patch(
            f"{_TASK}.service.state_task_service:StateTaskService._before_eval_execution",
            "A task of a branch that is being stopped takes its input for its timeout, which no history can show.",
            language.unless_stopped,
        ),
        Patch(
            f"{_ASL}.eval.environment:Environment.get_current_mocked_response",
            "Invocations of a mocked state are counted anew at each entry.",
            replaced_by(mock_cases.next_response),
        ),
        Patch(
            f"{_ASL}.utils.json_path:_is_singleton_array_access",
            "A definite path through an array, such as $.a[0].b, returns a list.",
            replaced_by(is_definite_path),
        ),
        Patch(
            f"{_ASL}.component.common.error_name.custom_error_name:CustomErrorName.__init__",
            "An uncaught States.* error inside Map or Parallel becomes States.Runtime.",
            any_error_name,
        ),
        Patch(
            f"{_ASL}.eval.environment:Environment.set_error",
            "An error of a task that is being stopped changes ABORTED to FAILED.",
            unless_over,
        ),
        Patch(
            f"{_RESPONSE}.stop_execution",
            "Error and cause are ignored.",
            replaced_by(responses.stop_execution),
        ),
        Patch(
            f"{_RESPONSE}.get_execution_history",
            "maxResults, nextToken and reverseOrder are ignored.",
            replaced_by(responses.get_execution_history),
        ),
        Patch(
            f"{_RESPONSE}.describe_execution",
            "An execution that has timed out has no stop date, and an output that is a string is not JSON.",
            responses.with_end,
        ),
        *(
            Patch(
                f"moto.stepfunctions.parser.api:{name}.TYPE",
                "The error has no code.",
                replaced_by(name),
            )
            for name in _NAMELESS_ERRORS
        ),
    ]


def scaled_wait(scale: float) -> Callable[..., None]:
    """Return a ``WaitFunction._wait_interval`` that waits `scale` times as long and ends with the execution."""

    def wait(self: Any, env: Any, wait_seconds: float) -> None:
        del self
        end = time.monotonic() + wait_seconds * scale
        while env.is_running() and (left := end - time.monotonic()) > 0:
            # The event is set at every change in the environment and cleared at once, so it may be missed.
            env.program_state_event.wait(min(left, 0.5))

    return wait


def scaled_sleep(scale: float) -> Any:
    """Return a replacement for the ``time`` module, of which Retry uses one function."""
    return SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * scale))


def shared_clients(settings: Settings) -> Any:
    """Return a replacement for the ``boto3`` module that returns the region's shared clients.

    moto's clients address the region as ``localhost``, with which boto3 puts the bucket into the host name.
    """

    def make(*, service_name: str, region_name: str, **_: Any) -> Any:
        return client(settings, service_name, region_name, checks=False)

    return SimpleNamespace(client=make)


def in_the_name_of_its_role(original: Callable[..., None]) -> Callable[..., None]:
    """Run a task as the role of the state machine."""

    def evaluate(self: Any, env: Any) -> None:
        with acting_as(env.aws_execution_details.role_arn):
            original(self, env=env)

    return evaluate


def with_kept_trees(original: Any) -> Any:
    """Keep the parse trees of the last definitions. Each execution makes a program of its own from the tree."""
    from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

    @lru_cache(maxsize=16)
    def tree_of(definition: str) -> Any:
        _, tree = original.__func__(definition)
        return tree

    def parse(definition: str) -> tuple[Any, Any]:
        tree = tree_of(definition)
        return Preprocessor().visit(tree), tree

    return staticmethod(parse)


def with_text_start_time(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make ``$$.Execution.StartTime`` a text. A datetime in a state's output breaks DescribeExecution."""

    def details(self: Any) -> Any:
        result = original(self)
        result.start_time = iso_times(result.start_time)
        return result

    return details


def with_redrive_count(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add ``$$.Execution.RedriveCount`` to the context object. It is 0, since the region cannot redrive."""

    def environment(self: Any) -> Any:
        env = original(self)
        env.states.context_object.context_object_data["Execution"]["RedriveCount"] = 0
        return env

    return environment


def with_json_result(original: Callable[..., None]) -> Callable[..., None]:
    """Convert datetimes and streams in the result of an AWS SDK call to text."""

    def evaluate(self: Any, env: Any, *arguments: Any, **options: Any) -> None:
        original(self, env, *arguments, **options)
        env.stack.append(iso_times(env.stack.pop()))

    return evaluate


def with_answer_of_integration(original: Callable[..., None]) -> Callable[..., None]:
    """Convert the answer of ``states:startExecution`` to the names of the integration, such as ``ExecutionArn``."""

    def evaluate(self: Any, env: Any, *arguments: Any, **options: Any) -> None:
        original(self, env, *arguments, **options)
        answer = epoch_milliseconds(env.stack.pop())
        env.stack.append({name[:1].upper() + name[1:]: value for name, value in answer.items()})

    return evaluate


def with_error_prefixes(original: dict[str, str]) -> dict[str, str]:
    """Add the missing prefixes of error names."""
    return {**original, **AWS_SDK_PREFIXES}


def with_s3_not_found(original: Any) -> Any:
    """Name the error of HeadObject as AWS does. Its response has no body, so boto3 has only the status."""

    def name(service: str, error: Any) -> str:
        if service == "S3" and error.response["Error"]["Code"] == "404":
            return "S3.NoSuchKeyException"
        return str(original.__func__(service, error))

    return staticmethod(name)


def any_error_name(original: Any) -> Callable[..., None]:
    """Let an uncaught ``States.*`` error leave a Map or Parallel state under its own name.

    moto creates the error again as a custom error, whose constructor refuses the prefix. The result is
    ``States.Runtime``, which a ``Catch`` of ``States.TaskFailed`` does not match.
    """
    del original

    def initialise(self: Any, error_name: str | None) -> None:
        self.error_name = error_name

    return initialise


def unless_over(original: Callable[..., None]) -> Callable[..., None]:
    """Ignore errors of tasks after an execution was aborted or timed out."""

    def set_error(self: Any, error: Any) -> None:
        if type(self.program_state()).__name__ not in ("ProgramStopped", "ProgramTimedOut"):
            original(self, error)

    return set_error


def with_job_services(settings: Settings) -> Callable[[Any], Callable[[str], Any]]:
    """Add the optimized integrations of SageMaker and Athena to the factory of Task states."""

    def make(original: Callable[[str], Any]) -> Callable[[str], Any]:
        from localaws.stepfunctions.job_services import AthenaTask, SageMakerTask

        services = {task.service: task for task in (AthenaTask, SageMakerTask)}

        def task_for(service_name: str) -> Any:
            task = services.get(service_name)
            return task(settings) if task else original(service_name)

        return task_for

    return make


def is_definite_path(path: str) -> bool:
    """Return whether a JSONPath can match one value only: it has no wildcard, slice, filter or recursive descent.

    >>> is_definite_path("$.Variants[0].ModelName"), is_definite_path("$.Variants[*].ModelName")
    (True, False)
    """
    return not re.search(r"\*|\.\.|\[[^\]]*[:?,@][^\]]*\]", path)
