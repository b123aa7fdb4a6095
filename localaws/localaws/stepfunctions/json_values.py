"""Converts results of boto3 calls to JSON as Step Functions does."""

from __future__ import annotations

import datetime as dt
from typing import Any


def iso_times(value: Any) -> Any:
    """Return a value with times as ISO 8601 texts, as in AWS SDK integrations and the context object."""
    return _convert(value, lambda time: time.astimezone(dt.UTC).isoformat(timespec="milliseconds")[:-6] + "Z")


def epoch_milliseconds(value: Any) -> Any:
    """Return a value with times in milliseconds since 1970, as in optimized integrations."""
    return _convert(value, lambda time: int(time.timestamp() * 1000))


def _convert(value: Any, time: Any) -> Any:
    if isinstance(value, dict):
        return {key: _convert(item, time) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_convert(item, time) for item in value]
    if isinstance(value, dt.datetime):
        return time(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.read().decode("utf-8", "replace") if hasattr(value, "read") else value
