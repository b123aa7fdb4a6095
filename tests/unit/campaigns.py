"""A campaign for the sending jobs: what an execution's input says of it once the defaults are in."""

from __future__ import annotations

from typing import Any

CAMPAIGN: dict[str, Any] = {
    "Name": "daily",
    "SendWindow": {"From": 0, "Until": 24},
    "QuietHours": {"From": 22, "Until": 7},
    "Weekdays": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "DatesWithoutSends": [],
    "FallbackHour": None,
    "MinimumGapHours": 20,
    "MostPushesADay": 1,
    "MostPushesAWeek": 7,
    "Policy": "visits",
    "LargestHourShare": 1.0,
    "Control": {"Salt": "test", "GlobalBestHourShare": 0.1, "RandomHourShare": 0.1, "NoPushShare": 0.1},
    "Drift": {
        "Psi": 0.25,
        "LogLossIncreaseNats": 0.15,
        "HitRateDecrease": 0.05,
        "VisitsRatio": 1.25,
        "MinimumRows": 200,
    },
}
