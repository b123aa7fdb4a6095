"""The message of one push. Producer and consumer validate it against the same JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

VALIDATOR = Draft202012Validator(
    json.loads(Path(__file__).with_name("send_message.schema.json").read_text(encoding="utf-8"))
)


class MessageRejected(ValueError):
    """A message violates its schema."""


def read_message(text: str) -> dict[str, Any]:
    """Parse and validate a message.

    Raises
    ------
    MessageRejected
        It is not JSON or violates the schema; the reason names the first violation.
    """
    try:
        message = json.loads(text)
    except ValueError as error:
        raise MessageRejected(f"The message is not JSON: {error}") from error
    violation = next(iter(sorted(VALIDATOR.iter_errors(message), key=lambda found: list(map(str, found.path)))), None)
    if violation is not None:
        where = ".".join(map(str, violation.absolute_path)) or "message"
        raise MessageRejected(f"{where}: {violation.message}")
    checked: dict[str, Any] = message
    return checked
