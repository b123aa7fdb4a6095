r"""JSON Schema with patterns as its standard means them: regular expressions of ECMA-262.

There ``$`` is the end of the text and ``\\d`` an ASCII digit. In Python ``$`` may also be followed by a newline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not re.search(re.sub(r"\$\Z", r"\\Z", pattern), instance, re.ASCII):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


Validator: Any = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
"""Class of validators of draft 2020-12."""
