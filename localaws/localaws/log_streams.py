"""Writes logs to CloudWatch Logs through the region's own API."""

from __future__ import annotations

import time
from contextlib import suppress

from localaws.clients import client
from localaws.settings import Settings


def append(settings: Settings, region: str, group: str, stream: str, text: str) -> None:
    """Append the lines of a text to a log stream, as the current identity. Create the group and stream if needed."""
    logs = client(settings, "logs", region)
    try:
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
    except logs.exceptions.ResourceNotFoundException:
        with suppress(logs.exceptions.ResourceAlreadyExistsException):  # another writer has just created it
            logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in text.splitlines() if line]
    # PutLogEvents takes at most 10,000 events and 1 MB in one call (API reference).
    for start in range(0, len(events), 1000):
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events[start : start + 1000])
