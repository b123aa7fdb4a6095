"""Messages of the queue: pushes to send, and reports of pushes, each with the JSON Schema that both sides check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from functions.shared.json_schema import Validator


def _validator(name: str) -> Any:
    return Validator(json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8")))


PUSH = _validator("send_message.schema.json")
REPORT = _validator("push_report.schema.json")


class MessageRejected(ValueError):
    """A message violates its schema."""


def read_message(text: str) -> dict[str, Any]:
    """Parse and validate a message.

    Returns
    -------
    dict
        A push, or a report, which alone has a ``status``.

    Raises
    ------
    MessageRejected
        It is not JSON or violates the schema; the reason names the first violation.
    """
    try:
        message = json.loads(text)
    except ValueError as error:
        raise MessageRejected(f"The message is not JSON: {error}") from error
    validator = REPORT if is_report(message) else PUSH
    violation = next(iter(sorted(validator.iter_errors(message), key=lambda found: list(map(str, found.path)))), None)
    if violation is not None:
        where = ".".join(map(str, violation.absolute_path)) or "message"
        raise MessageRejected(f"{where}: {violation.message}")
    checked: dict[str, Any] = message
    return checked


def is_report(message: Any) -> bool:
    """Return whether a message reports of a push instead of asking for one."""
    return isinstance(message, dict) and "status" in message
