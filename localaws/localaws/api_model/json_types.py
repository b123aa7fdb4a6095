"""JSON values against the shapes of a service model: unknown members, and values of a wrong type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

NUMBERS = {"integer": "Integer", "long": "Long", "short": "Short", "byte": "Byte", "float": "Float", "double": "Double"}


@dataclass(frozen=True)
class Mismatch:
    """A place where a JSON value does not fit its shape.

    Attributes
    ----------
    field
        Name of the member as it is in the JSON value.
    value
        What is there.
    shape
        What should be there. None if the model has no such member.
    known
        Names of the members that the model has there.
    """

    field: str
    value: Any
    shape: Shape | None
    known: tuple[str, ...] = ()


NameOf = Callable[[str, Shape], str]


def wire_name(name: str, shape: Shape) -> str:
    """Return the name of a member in a request."""
    return str(shape.serialization.get("name", name))


def mismatches(
    value: Any, shape: Shape, fits: Callable[[Any, Shape], bool], name_of: NameOf = wire_name, field: str = ""
) -> Iterator[Mismatch]:
    """Yield every mismatch in a value.

    Parameters
    ----------
    fits
        Whether a value that is no container has the type of its shape.
    name_of
        Returns the name that a member must have in the JSON value.
    field
        Name of the member that has the value.
    """
    if value is None or getattr(shape, "is_document_type", False):
        return
    if isinstance(shape, StructureShape | MapShape):
        if not isinstance(value, Mapping):
            yield Mismatch(field, value, shape)
        elif isinstance(shape, MapShape):
            for key, entry in value.items():
                yield from mismatches(entry, shape.value, fits, name_of, key)
        else:
            members = {name_of(name, member): member for name, member in shape.members.items()}
            for key, entry in value.items():
                if key in members:
                    yield from mismatches(entry, members[key], fits, name_of, key)
                else:
                    yield Mismatch(key, entry, None, tuple(members))
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield Mismatch(field, value, shape)
        else:
            for entry in value:
                yield from mismatches(entry, shape.member, fits, name_of, field)
    elif not fits(value, shape):
        yield Mismatch(field, value, shape)


def fits_type(value: Any, shape: Shape) -> bool:
    """Return whether a JSON value is of the type that the JSON protocols have for a shape."""
    kind = shape.type_name
    if isinstance(value, Mapping | list):
        return bool(shape.serialization.get("jsonvalue"))
    if kind in NUMBERS:
        if kind in ("float", "double"):
            return not isinstance(value, bool | str) or value in ("NaN", "Infinity", "-Infinity")
        return not isinstance(value, bool | str) and float(value).is_integer()
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "timestamp":
        return not isinstance(value, bool)
    return isinstance(value, str)
