r"""JSON Schema with patterns as its standard means them: regular expressions of ECMA-262.

There ``$`` is the end of the text and ``\\d`` an ASCII digit. In Python ``$`` may also be followed by a newline.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not re.search(re.sub(r"\$\Z", r"\\Z", pattern), instance, re.ASCII):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _is_number(_checker: Any, instance: Any) -> bool:
    """Return whether a value is a number of JSON, which has no NaN and no infinity."""
    return isinstance(instance, int | float) and not isinstance(instance, bool) and math.isfinite(instance)


Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number),
)
"""Class of validators of draft 2020-12."""
