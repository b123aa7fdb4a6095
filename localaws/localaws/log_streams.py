"""The log of something that has ended, into CloudWatch Logs through the front door."""

from __future__ import annotations

import time
from contextlib import suppress

from botocore.exceptions import ClientError

from localaws.clients import client
from localaws.settings import Settings


def keep(settings: Settings, region: str, group: str, stream: str, text: str) -> None:
    """Write a text's lines to a new stream, in the name of whoever this thread acts for; make the group if missing."""
    logs = client(settings, "logs", region)
    try:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        with suppress(logs.exceptions.ResourceAlreadyExistsException):  # two first writers at once
            logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in text.splitlines() if line]
    # PutLogEvents takes at most 10,000 events and 1 MB in one call (API reference).
    for start in range(0, len(events), 1000):
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events[start : start + 1000])
