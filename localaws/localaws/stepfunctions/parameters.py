"""The parameters of a Task state, which Step Functions checks before it calls a service.

Names are in PascalCase, whatever the case in the API (Step Functions Developer Guide, "Passing parameters to a service
API"). A parameter that cannot be used ends the execution with States.Runtime. Lengths, patterns and values are checked
by the service that is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.model import ListShape, MapShape, OperationNotFoundError, Shape, StructureShape
from moto.core.utils import get_service_model
from moto.stepfunctions.parser.asl.component.common.payload.payloadvalue.payloadtmpl.payload_tmpl import PayloadTmpl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from localaws.api_model.json_types import NUMBERS, fits_type, mismatches
from localaws.stepfunctions.language import runtime_failure

JSON_TEXTS = frozenset({"Detail", "Input", "Message", "MessageBody"})
"""Texts of optimized integrations that may be given as JSON: events, states, sns and sqs."""


def pascal_case(name: str, shape: Shape | None = None) -> str:
    """Return the name of a member in a Task state."""
    del shape
    return name[:1].upper() + name[1:]


def problems(parameters: Any, shape: StructureShape, fields: frozenset[str], *, of_sdk: bool) -> list[str]:
    """Return why Step Functions cannot use parameters.

    Parameters
    ----------
    fields
        Names of the parameters that the integration has; empty for all of the API.
    of_sdk
        Whether it is an AWS SDK integration, which converts objects to texts (seen on AWS: localstack/localstack#9872).
    """

    def fits(value: Any, member: Shape) -> bool:
        if member.type_name == "blob" or (of_sdk and member.type_name == "string" and isinstance(value, dict | list)):
            return True
        return fits_type(value, member)

    if not isinstance(parameters, dict):
        return ["The parameters must be an object"]
    found = [_unsupported(name) for name in parameters if fields and name not in fields]
    for mismatch in mismatches(parameters, shape, fits, pascal_case):
        if mismatch.shape is None:
            found.append(_unsupported(mismatch.field))
        elif of_sdk or mismatch.field not in JSON_TEXTS:
            found.append(f"The value for the field '{mismatch.field}' must be {_article(mismatch.shape)}")
    return list(dict.fromkeys([*found, *_missing(parameters, shape)]))


def _unsupported(field: str) -> str:
    return f'The field "{field}" is not supported by Step Functions'


def _article(shape: Shape) -> str:
    kind = NUMBERS.get(shape.type_name, shape.type_name).upper()
    return f"{'an' if kind[0] in 'AEIO' else 'a'} {kind}"


def _missing(value: Any, shape: Shape) -> Iterator[str]:
    if isinstance(shape, ListShape) and isinstance(value, list):
        for entry in value:
            yield from _missing(entry, shape.member)
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        for entry in value.values():
            yield from _missing(entry, shape.value)
    elif isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in shape.members.items():
            given = value.get(pascal_case(name))
            # The SDK makes up a token that is missing.
            if given is None and name in shape.required_members and not member.metadata.get("idempotencyToken"):
                yield f"The field '{pascal_case(name)}' is required but was missing"
            yield from _missing(given, member)


def as_request(value: Any, shape: Shape) -> Any:
    """Return parameters with the names of the API, and texts that were given as JSON as texts."""
    if isinstance(shape, StructureShape) and isinstance(value, dict) and not shape.is_document_type:
        names = {pascal_case(name): name for name in shape.members}
        return {
            names[key]: as_request(entry, shape.members[names[key]]) for key, entry in value.items() if key in names
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [as_request(entry, shape.member) for entry in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: as_request(entry, shape.value) for key, entry in value.items()}
    if shape.type_name in ("string", "blob") and isinstance(value, dict | list):
        return to_json_str(value, separators=(",", ":"))
    return value


def input_shape(task: StateTaskService) -> StructureShape | None:
    """Return the shape of the request that a Task state makes. Return None if botocore does not have the API."""
    try:
        model = get_service_model(task._get_boto_service_name())
        shape: StructureShape | None = model.operation_model(pascal_case(task.resource.api_action)).input_shape
    except (UnknownServiceError, OperationNotFoundError):
        return None
    return shape


def fields(task: StateTaskService) -> frozenset[str]:
    """Return the parameters of an optimized integration, empty if they are those of the API."""
    return frozenset(task._get_supported_parameters() or ())


def is_of_sdk(task: StateTaskService) -> bool:
    """Return whether a Task state has an AWS SDK integration."""
    return task.resource.service_name == "aws-sdk"


def checked(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Check the parameters of a task that calls a service. moto drops those that it does not know."""

    def evaluate(self: Any, env: Any) -> Any:
        if not isinstance(self, StateTaskService) or (shape := input_shape(self)) is None:
            return original(self, env)
        parameters = {}
        if self.parargs is not None:
            self.parargs.eval(env=env)
            parameters = env.stack.pop()
        # A mocked task makes no call, and Step Functions Local does not look at its parameters.
        if not env.is_running() or env.is_mocked_mode():
            return parameters
        if found := problems(parameters, shape, fields(self), of_sdk=is_of_sdk(self)):
            given, why = to_json_str(parameters), ", ".join(found)
            raise runtime_failure(
                env,
                f"The Parameters '{given}' could not be used to start the Task: [{why}]",
                resource=self._get_sfn_resource(),
                resourceType=self._get_sfn_resource_type(),
            )
        return parameters

    return evaluate


def with_names_of_the_api(original: Callable[..., None]) -> Callable[..., None]:
    """Convert parameters from PascalCase to the names of the API."""

    def normalise(self: Any, parameters: dict[str, Any], *arguments: Any, **options: Any) -> None:
        original(self, parameters, *arguments, **options)
        if (shape := input_shape(self)) is not None:
            request = as_request(parameters, shape)
            parameters.clear()
            parameters.update(request)

    return normalise


def refused_at_creation(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Refuse a definition with a parameter that an optimized integration does not have (seen on AWS: aws-cdk#10014)."""

    def validate(self: Any) -> None:
        original(self)
        template = getattr(self.parargs, "template_eval_component", None)
        shape = input_shape(self)
        if shape is None or not isinstance(template, PayloadTmpl):
            return
        known = fields(self) or frozenset(pascal_case(name) for name in shape.members)
        for binding in template.payload_bindings:
            if binding.field not in known:
                raise ValueError(f"SCHEMA_VALIDATION_FAILED: {_unsupported(binding.field)}")

    return validate
