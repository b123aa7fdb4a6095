"""Patches of EventBridge Scheduler."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from moto.scheduler.exceptions import ValidationException

from localaws.patches import Patch
from localaws.settings import Settings

BACKEND = "moto.scheduler.models:EventBridgeSchedulerBackend"
CRON_FIELD = re.compile(r"[0-9A-Za-z*?,/#-]+")
"""One of the six fields: minutes, hours, day of month, month, day of week and year."""


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    del settings
    reason = "Any text is accepted as a schedule."
    return [Patch(f"{BACKEND}.{method}", reason, checked) for method in ("create_schedule", "update_schedule")]


def checked(original: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse an invalid expression or time zone, as EventBridge Scheduler does."""

    @wraps(original)
    def write_schedule(backend: Any, **schedule: Any) -> Any:
        expression, zone = schedule["schedule_expression"], schedule["schedule_expression_timezone"]
        if not is_expression(expression):
            raise ValidationException(f"Invalid Schedule Expression {expression}.")
        if not is_time_zone(zone or "UTC"):
            raise ValidationException(f"Invalid Schedule Expression Timezone {zone}.")
        return original(backend, **schedule)

    return write_schedule


def is_expression(text: str) -> bool:
    """Return whether a text is a schedule: ``cron(six fields)``, ``rate(number unit)`` or ``at(time)``.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html

    >>> [is_expression(text) for text in ("cron(0 3 ? * MON *)", "rate(7 days)", "at(2026-11-23T09:00:00)")]
    [True, True, True]
    >>> [is_expression(text) for text in ("cron(at three)", "rate(0 days)", "rate(7 fortnights)", "at(noon)")]
    [False, False, False, False]
    """
    kind, _, content = text.removesuffix(")").partition("(")
    if kind == "cron":
        fields = content.split()
        return len(fields) == 6 and all(CRON_FIELD.fullmatch(field) for field in fields)
    if kind == "rate":
        return re.fullmatch(r"[1-9][0-9]* (minute|hour|day)s?", content) is not None
    try:
        return kind == "at" and datetime.strptime(content, "%Y-%m-%dT%H:%M:%S") is not None
    except ValueError:
        return False


def is_time_zone(name: str) -> bool:
    """Return whether a name is in the time zone database."""
    try:
        return ZoneInfo(name) is not None
    except (ZoneInfoNotFoundError, ValueError):
        return False
