"""A form made from a JSON Schema, and the document that was filled into it.

An empty field leaves its key out, so that the default of the schema counts. Fields are named by the path of their key,
``Campaign.SendWindow.From``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

Schema = Mapping[str, Any]
Given = Mapping[str, Sequence[str]]
"""Values of a form as the browser sends them, by the name of the field."""

NONE_SUFFIX = "!none"
"""Ends the name of the box that sets an object to null."""
LEFT_OUT = ""


@dataclass
class Field:
    """A field or a group of fields.

    Attributes
    ----------
    name : str
        Path of its key.
    label : str
        Its key.
    kind : str
        ``group``, ``choice``, ``choices``, ``yes-no``, ``number``, ``text``, ``date``, ``json`` or ``lines``.
    description : str
    default : str
        What counts if it is left empty.
    values : list of str
        What is filled in.
    options : list of str
        Of a choice.
    low, high : float or None
        Limits of a number.
    whole : bool
        Whether a number must be an integer.
    nullable : bool
        Whether a group may be set to null.
    is_null : bool
    fields : list of Field
        Of a group.
    errors : list of str
    """

    name: str
    label: str
    kind: str
    description: str = ""
    default: str = ""
    values: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    low: float | None = None
    high: float | None = None
    whole: bool = False
    nullable: bool = False
    is_null: bool = False
    fields: list[Field] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def value(self) -> str:
        """Return the only value; empty if there is none."""
        return self.values[0] if self.values else ""

    @property
    def is_filled(self) -> bool:
        """Return whether something else than the default is filled in."""
        return bool(self.values) and self.values != _listed(self.default)

    @property
    def is_open(self) -> bool:
        """Return whether a group has something to show: a value or an error in it."""
        return (
            self.is_null or bool(self.errors) or any(one.is_filled or one.errors or one.is_open for one in self.fields)
        )

    def all(self) -> Iterator[Field]:
        """Yield the field and all fields in it."""
        yield self
        for one in self.fields:
            yield from one.all()


def empty_form(schema: Schema) -> Field:
    """Return the form of a schema whose fields are empty."""
    return _field(schema, schema, "", str(schema.get("title", "")))


def filled_form(schema: Schema, document: Mapping[str, Any]) -> Field:
    """Return the form with a document filled in, such as the input of an earlier run."""
    form = empty_form(schema)
    for one in form.all():
        found, there = _at(document, one.name)
        if not there or not one.name:
            continue
        if one.kind == "group":
            one.is_null = found is None
        elif isinstance(found, list) and one.kind in ("choices", "lines"):
            one.values = [str(item) for item in found]
        elif found is not None:
            one.values = [json.dumps(found) if not isinstance(found, str) else found]
    return form


def read_form(schema: Schema, given: Given) -> tuple[Field, dict[str, Any] | None]:
    """Read a form that was filled in.

    Returns
    -------
    form : Field
        With the values, and the errors beside their fields.
    document : dict or None
        None if there are errors.
    """
    form = empty_form(schema)
    document: dict[str, Any] = {}
    for one in form.all():
        if not one.name:
            continue
        if one.kind == "group":
            one.is_null = one.nullable and f"{one.name}{NONE_SUFFIX}" in given
            if one.is_null:
                _set(document, one.name, None)
            continue
        one.values = [value.strip() for value in given.get(one.name, ()) if value.strip()]
        if one.kind == "choices" and one.name in given and one.values == _listed(one.default):
            continue
        if one.kind == "choices" and f"{one.name}!shown" in given:
            if one.values != _listed(one.default):
                _set(document, one.name, one.values)
            continue
        if not one.values or _within_null(form, one):
            continue
        try:
            _set(document, one.name, _value(one))
        except ValueError as error:
            one.errors.append(str(error))
    by_name = {one.name: one for one in form.all()}
    for violation in Draft202012Validator(schema).iter_errors(document):
        place = _nearest(by_name, [str(part) for part in violation.absolute_path])
        if not place.errors:
            place.errors.append(_words(violation, place))
    return form, None if any(one.errors for one in form.all()) else document


def _field(root: Schema, schema: Schema, name: str, label: str) -> Field:
    if "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **schema}
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else list(types)
    found = Field(
        name=name,
        label=label,
        kind="text",
        description=str(schema.get("description", "")),
        default=_shown(schema["default"]) if "default" in schema else "",
    )
    if "properties" in schema:
        found.kind, found.default, found.nullable = "group", "", "null" in types
        found.fields = [
            _field(root, part, f"{name}.{key}".lstrip("."), key) for key, part in schema["properties"].items()
        ]
    elif "enum" in schema:
        found.kind, found.options = "choice", [str(option) for option in schema["enum"]]
    elif "array" in types:
        items = schema.get("items", {})
        found.kind = "choices" if "enum" in items else "lines"
        found.options = [str(option) for option in items.get("enum", [])]
        found.values = _listed(found.default) if found.kind == "choices" else []
    elif "object" in types:
        found.kind = "json"
    elif "boolean" in types:
        found.kind = "yes-no"
    elif "integer" in types or "number" in types:
        found.kind, found.whole = "number", "integer" in types
        found.low = schema.get("minimum", schema.get("exclusiveMinimum"))
        found.high = schema.get("maximum", schema.get("exclusiveMaximum"))
    elif schema.get("format") == "date":
        found.kind = "date"
    return found


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, list):
        return ", ".join(map(str, default))
    if default is None:
        return "none"
    return default if isinstance(default, str) else json.dumps(default)


def _listed(text: str) -> list[str]:
    return [part for part in text.split(", ") if part]


def _value(one: Field) -> Any:
    """Return the value of a field for the document.

    Raises
    ------
    ValueError
        With what is expected, for people.
    """
    if one.kind == "yes-no":
        return {"true": True, "false": False}[one.value]
    if one.kind == "number":
        try:
            value = int(one.value) if one.whole else float(one.value)
            if math.isfinite(value):
                return value
        except ValueError:
            pass
        raise ValueError(f"Write a {'whole ' if one.whole else ''}number.")
    if one.kind == "json":
        try:
            return json.loads(one.value, parse_constant=_no_number)
        except ValueError:
            raise ValueError('Write JSON, such as {"units": 64}.') from None
    return one.value.splitlines() if one.kind == "lines" else one.value


def _no_number(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def _within_null(form: Field, one: Field) -> bool:
    return any(group.is_null and one.name.startswith(f"{group.name}.") for group in form.all() if group.name)


def _at(document: Mapping[str, Any], name: str) -> tuple[Any, bool]:
    found: Any = document
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None, False
        found = found[part]
    return found, True


def _set(document: dict[str, Any], name: str, value: Any) -> None:
    *parts, last = name.split(".")
    place: dict[str, Any] = document
    for part in parts:
        place = place.setdefault(part, {})
    place[last] = value


def _nearest(by_name: Mapping[str, Field], path: list[str]) -> Field:
    """Return the field of a path, or else the innermost one around it."""
    while path and ".".join(path) not in by_name:
        path = path[:-1]
    return by_name[".".join(path)]


def _words(violation: ValidationError, place: Field) -> str:
    if violation.validator == "pattern" and place.kind == "text":
        return f"This does not match {violation.validator_value}."
    if violation.validator in ("minimum", "exclusiveMinimum"):
        more = "more than" if violation.validator == "exclusiveMinimum" else "at least"
        return f"It must be {more} {violation.validator_value}."
    if violation.validator == "maximum":
        return f"It must be at most {violation.validator_value}."
    if violation.validator == "maxLength":
        return f"It must have at most {violation.validator_value} characters."
    message = str(violation.message)
    return message[0].upper() + message[1:] + ("" if message.endswith(".") else ".")
