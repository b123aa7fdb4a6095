"""The execution input against its JSON Schema, which is also the only home of the defaults."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

SCHEMA_FILE = "train.input.schema.json"


class InputRejected(ValueError):  # noqa: N818 (Step Functions shows the class name as the error's name)
    """The execution input breaks its schema."""


def load_schema(file: str = SCHEMA_FILE) -> dict[str, Any]:
    """Read a schema: beside this module in a Lambda bundle, in ``statemachine/`` in a checkout."""
    here = Path(__file__).parent
    places = [here / file, here.parents[1] / "statemachine" / file]
    schema: dict[str, Any] = json.loads(next(p for p in places if p.exists()).read_text(encoding="utf-8"))
    return schema


def validated(
    execution_input: Any,
    schema: dict[str, Any],
    contradictions: Callable[[dict[str, Any]], Iterable[str]] | None = None,
) -> dict[str, Any]:
    """Return the input with every default of the schema filled in.

    Parameters
    ----------
    execution_input
        As it was given.
    schema
        JSON Schema of the workflow's input.
    contradictions
        Tells which keys of the filled input do not go together; default: those of the training workflow.

    Raises
    ------
    InputRejected
        With one line for each violation, in the order of the input's keys.
    """
    violations = sorted(Draft202012Validator(schema).iter_errors(execution_input), key=lambda e: list(map(str, e.path)))
    if violations:
        raise _rejected(_describe(violation) for violation in violations)
    filled: dict[str, Any] = _with_defaults(execution_input, schema)
    if found := list((contradictions or _contradictions)(filled)):
        raise _rejected(found)
    return filled


def _rejected(lines: Iterable[str]) -> InputRejected:
    return InputRejected(
        f"Execution input rejected: {'; '.join(lines)}. Mend these keys and start the execution again; "
        "the JSON Schema of the workflow's input in statemachine/ describes each key."
    )


def _contradictions(filled: dict[str, Any]) -> Iterator[str]:
    """Say which keys do not go together: a schema could tell, but not in words."""
    is_csv = filled["SourceSql"]["Format"] == "csv"
    instances = filled["Preprocessing"]["InstanceCount"]
    if is_csv and instances > 1:
        yield (
            f"Preprocessing.InstanceCount: {instances} instances cannot share the one CSV file; "
            "set SourceSql.Format to parquet, or InstanceCount to 1"
        )
    if not is_csv and "InputFilePath" in filled:
        yield "InputFilePath: names one CSV file, but SourceSql.Format is parquet; leave InputFilePath out"
    if filled["Tuning"]["MaxJobs"]:
        yield from _contradictions_of_ranges(filled)
    if filled["Gate"]["MustHoldInCrossValidation"] and not filled["CrossValidation"]["Folds"]:
        yield "Gate.MustHoldInCrossValidation: there is no cross-validation; set CrossValidation.Folds to 2 or more"


def _contradictions_of_ranges(filled: dict[str, Any]) -> Iterator[str]:
    integers, continuous = filled["Tuning"]["IntegerRanges"], filled["Tuning"]["ContinuousRanges"]
    for name, limits in (*integers.items(), *continuous.items()):
        if limits["Min"] > limits["Max"]:
            yield f"Tuning: the range of {name} is empty, Min {limits['Min']} is greater than Max {limits['Max']}"
    for name in sorted(integers.keys() & continuous.keys()):
        yield f"Tuning: {name} is both in IntegerRanges and in ContinuousRanges"
    if not (integers.keys() | continuous.keys()) - filled["Hyperparameters"].keys():
        yield "Tuning: Hyperparameters fixes all that has a range; leave one of them out, or set MaxJobs to 0"


def _describe(violation: ValidationError) -> str:
    where = ".".join(str(part) for part in violation.absolute_path) or "input"
    if violation.validator == "pattern":
        return f"{where}: {violation.instance!r} {_pattern_meaning(str(violation.validator_value))}"
    return f"{where}: {violation.message}"


def _pattern_meaning(pattern: str) -> str:
    """Say a name pattern in words: few people read a regular expression at first sight."""
    if pattern.startswith("^[a-zA-Z0-9](-*"):
        return "may hold letters, digits and hyphens only, and must begin and end with a letter or digit"
    if pattern.startswith("^s3://"):
        return "is no S3 address of a CSV file (s3://bucket/key.csv)"
    return f"does not match {pattern}"


def _with_defaults(value: Any, schema: dict[str, Any]) -> Any:
    """Fill the defaults of an object and of the objects in it; anything else is returned as it is."""
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
