"""The name of one run of either workflow."""

from __future__ import annotations

import hashlib
from datetime import datetime


def run_id(execution_id: str, started_at: str) -> str:
    """Name a run by its start time and a digest of its execution: readable, unique, the same when retried.

    Parameters
    ----------
    execution_id
        ARN of the execution.
    started_at
        Its start time, ISO-8601 in UTC.

    >>> run_id("arn:aws:states:eu-central-1:123456789012:execution:train:a", "2026-11-23T09:15:00.123Z")
    '20261123-091500-85c438'
    """
    start = datetime.fromisoformat(started_at)
    digest = hashlib.sha256(execution_id.encode()).hexdigest()[:6]
    return f"{start:%Y%m%d-%H%M%S}-{digest}"
