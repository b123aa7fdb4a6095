"""Required members, lengths, ranges, patterns and enums of a service model, in the words of AWS.

botocore's client checks required members, types and minimum lengths only, and moto checks hardly anything.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import regex
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

_BEYOND_BMP = (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
"""All characters beyond the Basic Multilingual Plane: as surrogates in Java's patterns, and as code points."""


def violations(value: Mapping[str, Any], shape: StructureShape) -> list[str]:
    """Return what AWS would find wrong in the members of a request.

    Parameters
    ----------
    value
        Parsed members by their names in the model. A member that is None counts as absent.

    Returns
    -------
    list of str
        One sentence for each violation, such as "Value 'a b' at 'endpointName' failed to satisfy constraint: Member
        must satisfy regular expression pattern: [a-z]+".
    """
    return [f"{found} failed to satisfy constraint: {constraint}" for found, constraint in _structure(value, shape, "")]


def summary(found: list[str]) -> str:
    """Return violations as the one message of an error."""
    return f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: {'; '.join(found)}"


Violation = tuple[str, str]
Constraint = tuple[str, Callable[[Any], bool]]


def _structure(value: Mapping[str, Any], shape: StructureShape, path: str) -> Iterator[Violation]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at '{_member(path, name)}'", "Member must not be null"
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _violations(value[name], member, _member(path, name))


def _violations(value: Any, shape: Shape, path: str) -> Iterator[Violation]:
    if isinstance(shape, StructureShape):
        if not shape.is_document_type and isinstance(value, Mapping):
            yield from _structure(value, shape, path)
        return
    for words, holds in _constraints(shape):
        if not holds(value):
            yield _subject(value, shape, path), words
    if isinstance(shape, ListShape) and isinstance(value, list):
        yield from _entries(value, {str(i): entry for i, entry in enumerate(value, 1)}, shape.member, path, "Member")
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        yield from _entries(value, {str(key): key for key in value}, shape.key, path, "Map keys")
        yield from _entries(value, value, shape.value, path, "Map value")


def _entries(owner: Any, entries: Mapping[str, Any], shape: Shape, path: str, kind: str) -> Iterator[Violation]:
    """Check the entries of a list or map. AWS reports simple ones together, with every constraint that they have."""
    if isinstance(shape, StructureShape | ListShape | MapShape):
        for name, entry in entries.items():
            if entry is not None:
                yield from _violations(entry, shape, f"{path}.{name}.member")
        return
    constraints = _constraints(shape)
    if any(not holds(entry) for entry in entries.values() if entry is not None for _, holds in constraints):
        words = ", ".join(words for words, _ in constraints)
        yield _subject(owner, shape, path), f"{kind} must satisfy constraint: [{words}]"


def _constraints(shape: Shape) -> list[Constraint]:
    """Return the constraints of a shape, in the order in which AWS names them."""
    lowest, highest = shape.metadata.get("min"), shape.metadata.get("max")
    found: list[Constraint] = []
    if shape.type_name in ("integer", "long", "short", "byte", "float", "double"):
        if highest is not None:
            found.append((f"Member must have value less than or equal to {highest}", lambda value: value <= highest))
        if lowest is not None:
            found.append((f"Member must have value greater than or equal to {lowest}", lambda value: value >= lowest))
        return found
    if highest is not None:
        found.append(
            (f"Member must have length less than or equal to {highest}", lambda value: _length(value) <= highest)
        )
    if lowest is not None:
        found.append(
            (f"Member must have length greater than or equal to {lowest}", lambda value: _length(value) >= lowest)
        )
    if isinstance(shape, StringShape):
        pattern = shape.metadata.get("pattern")
        if pattern and (compiled := compiled_pattern(pattern)):
            found.append(
                (
                    f"Member must satisfy regular expression pattern: {pattern}",
                    lambda value: not isinstance(value, str) or compiled.fullmatch(value) is not None,
                )
            )
        if shape.enum:
            found.append(
                (f"Member must satisfy enum value set: [{', '.join(shape.enum)}]", lambda value: value in shape.enum)
            )
    return found


@cache
def compiled_pattern(pattern: str) -> Any:
    """Return a pattern of a model, which is one of Java, for `fullmatch`. Return None if it is not valid."""
    # Classes such as \w are those of ASCII in Java, but \p{L} is any letter: `regex` has one switch for both.
    flags = 0 if r"\p{" in pattern else regex.ASCII
    try:
        return regex.compile(pattern.replace(*_BEYOND_BMP), flags)
    except regex.error:
        return None


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-16-le", "surrogatepass")) // 2  # Java counts UTF-16 units
    return len(value)


def _member(path: str, name: str) -> str:
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member


def _subject(value: Any, shape: Shape, path: str) -> str:
    return f"Value at '{path}'" if shape.metadata.get("sensitive") else f"Value '{_text(value)}' at '{path}'"


def _text(value: Any) -> str:
    """Return a value as Java prints it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(entry) for entry in value) + "]"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)
