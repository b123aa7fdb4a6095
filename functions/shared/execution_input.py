"""Check an execution input against the JSON Schema of its workflow, which also holds every default."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from typing import Any

from jsonschema.exceptions import ValidationError

from functions.shared.bundle import STATE_MACHINES
from functions.shared.json_schema import Validator


class InputRejected(ValueError):
    """The execution input violates its schema."""


def load_schema(workflow: str) -> dict[str, Any]:
    """Read the JSON Schema of the input of a workflow, ``train`` or ``forecast``."""
    schema: dict[str, Any] = json.loads((STATE_MACHINES / f"{workflow}.input.schema.json").read_text(encoding="utf-8"))
    return schema


def validated(
    execution_input: Any,
    schema: dict[str, Any],
    contradictions: Callable[[dict[str, Any]], Iterable[str]],
) -> dict[str, Any]:
    """Return the input with every default of the schema filled in.

    Parameters
    ----------
    execution_input
        As it was given.
    schema
        JSON Schema of the workflow's input.
    contradictions
        Returns the keys of the filled input that contradict one another.

    Raises
    ------
    InputRejected
        With one line for each violation, in the order of the input's keys.
    """
    violations = sorted(Validator(schema).iter_errors(execution_input), key=lambda e: list(map(str, e.path)))
    if violations:
        raise _rejected(_describe(violation) for violation in violations)
    filled: dict[str, Any] = _with_defaults(execution_input, schema)
    if found := list(contradictions(filled)):
        raise _rejected(found)
    return filled


def _rejected(lines: Iterable[str]) -> InputRejected:
    return InputRejected(
        f"Execution input rejected: {'; '.join(lines)}. Correct these keys and start the execution again; "
        "the JSON Schema of the workflow's input in statemachine/ describes each key."
    )


def _describe(violation: ValidationError) -> str:
    where = ".".join(str(part) for part in violation.absolute_path) or "input"
    if violation.validator == "pattern":
        return f"{where}: {violation.instance!r} {_pattern_meaning(str(violation.validator_value))}"
    return f"{where}: {violation.message}"


def _pattern_meaning(pattern: str) -> str:
    """Describe a pattern in words, which more people understand than a regular expression."""
    if pattern.startswith("^[a-zA-Z0-9](-*"):
        return "may hold letters, digits and hyphens only, and must begin and end with a letter or digit"
    if pattern.startswith("^s3://"):
        return "is not an S3 address of a CSV file (s3://bucket/key.csv)"
    return f"does not match {pattern}"


def _with_defaults(value: Any, schema: dict[str, Any]) -> Any:
    """Fill in the defaults of an object and its nested objects; return any other value unchanged."""
    properties = schema.get("properties")
    if properties is None or not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, sub_schema in properties.items():
        if name not in filled and "default" in sub_schema:
            filled[name] = copy.deepcopy(sub_schema["default"])
        if name in filled:
            filled[name] = _with_defaults(filled[name], sub_schema)
    return filled
