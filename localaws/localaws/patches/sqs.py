"""Patches of SQS."""

from __future__ import annotations

from typing import Any

from moto.core.utils import unix_time_millis

from localaws.patches import Patch, replaced_by
from localaws.settings import Settings

QUEUE = "moto.sqs.models:Queue"


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    del settings
    reason = (
        "Each message asks for the time, and every access to a queue's attributes counts all messages: with 10,000 of "
        "them the attributes take 20 s, and sending one takes 0.4 s."
    )
    counts = {
        "messages": messages,
        "approximate_number_of_messages_delayed": delayed,
        "approximate_number_of_messages_not_visible": not_visible,
    }
    return [Patch(f"{QUEUE}.{name}", reason, replaced_by(property(count))) for name, count in counts.items()]


def messages(queue: Any) -> list[Any]:
    """Return the messages that may be received."""
    now = unix_time_millis()
    return [message for message in queue._messages if message.visible_at < now >= message.delayed_until]


def delayed(queue: Any) -> int:
    """Count the messages that were sent with a delay that is not over."""
    now = unix_time_millis()
    return sum(now < message.delayed_until for message in queue._messages)


def not_visible(queue: Any) -> int:
    """Count the messages that were received, and may come back."""
    now = unix_time_millis()
    return sum(now <= message.visible_at for message in queue._messages)
