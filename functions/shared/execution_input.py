"""Check an execution input against the JSON Schema of its workflow, which also holds every default."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from difflib import get_close_matches
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
    if found := mistakes(execution_input, schema, contradictions):
        raise InputRejected(
            f"Execution input rejected: {'; '.join(found)}. Correct these keys and start the execution again; "
            "the JSON Schema of the workflow's input in statemachine/ describes each key."
        )
    filled: dict[str, Any] = _with_defaults(execution_input, schema)
    return filled


def mistakes(
    execution_input: Any,
    schema: dict[str, Any],
    contradictions: Callable[[dict[str, Any]], Iterable[str]],
) -> list[str]:
    """Return one line for each mistake that `validated` rejects; none if it takes the input."""
    violations = sorted(Validator(schema).iter_errors(execution_input), key=lambda e: list(map(str, e.path)))
    if violations:
        return [_describe(violation) for violation in violations]
    return list(contradictions(_with_defaults(execution_input, schema)))


def _describe(violation: ValidationError) -> str:
    where = ".".join(str(part) for part in violation.absolute_path) or "input"
    if violation.validator == "pattern":
        return f"{where}: {violation.instance!r} {pattern_meaning(str(violation.validator_value))}"
    if violation.validator == "additionalProperties":
        schema: Any = violation.schema
        known: dict[str, Any] = schema.get("properties", {})
        given: Any = violation.instance
        unknown = [name for name in given if name not in known]
        return "; ".join(f"{where}: there is no key {name!r}{_meant(name, known)}" for name in unknown)
    return f"{where}: {violation.message}"


def _meant(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f", did you mean {close[0]!r}?" if close else ""


def pattern_meaning(pattern: str) -> str:
    """Describe a pattern of the schemas in words, which more people understand than a regular expression."""
    return next(words for begins, words in PATTERNS.items() if pattern.startswith(begins))


PATTERNS = {
    "^[a-zA-Z0-9](-*": "may hold letters, digits and hyphens only, and must begin and end with a letter or digit",
    "^[a-zA-Z0-9-]{1,40}": "must be 1 to 40 letters, digits and hyphens",
    "^s3://": "is not an S3 address of a CSV file (s3://bucket/key.csv)",
    r"^\d{4}-\d{2}-\d{2}T": "is not a UTC instant such as 2026-11-23T16:00:00Z",
    r"^\d{4}-\d{2}-\d{2}$": "is not a date such as 2026-11-24",
    r"^ml\.": "is not an instance type such as ml.m5.large",
    "^[a-z][a-z0-9_]": "is not the name of a hyperparameter: lower-case letters, digits and underscores",
}
"""What a pattern of the schemas begins with, and what it says."""


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
