"""EventBridge Scheduler refuses invalid schedules."""

from __future__ import annotations

from typing import Any

import pytest
from moto.scheduler.exceptions import ValidationException

from localaws.patches.scheduler import checked


def write(expression: str, zone: str | None = None) -> str:
    def original(backend: Any, **schedule: Any) -> str:
        del backend
        return str(schedule["schedule_expression"])

    return str(checked(original)(None, schedule_expression=expression, schedule_expression_timezone=zone))


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 3 ? * MON *)",
        "cron(15,45 */2 1-5 JAN-MAR ? 2026)",
        "cron(0 0 ? * 6#3 *)",
        "rate(1 minute)",
        "at(2026-11-23T09:00:00)",
    ],
)
def test_schedules(expression: str) -> None:
    assert write(expression, "Europe/Berlin") == expression


@pytest.mark.parametrize(
    "expression",
    [
        "cron(at three)",
        "cron(0 3 * * 1)",
        "rate(0 days)",
        "rate(1 week)",
        "at(2026-13-01T00:00:00)",
        "0 3 * * 1",
        "weekly(1)",
    ],
)
def test_invalid_schedules(expression: str) -> None:
    with pytest.raises(ValidationException, match="Invalid Schedule Expression"):
        write(expression)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "/etc/passwd"])
def test_unknown_time_zones(zone: str) -> None:
    with pytest.raises(ValidationException, match="Invalid Schedule Expression Timezone"):
        write("rate(1 day)", zone)
