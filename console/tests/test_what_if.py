"""The plan of other rules as the page shows it."""

from __future__ import annotations

from typing import Any

from console.pages.plans import compare
from console.pages.rendering import part


def sends(pushes: dict[str, int], visits: float, **more: int) -> dict[str, Any]:
    figures = {"barred": 0, "no_room": 0, "moved": 0, **more}
    return {
        **figures,
        "planned": sum(pushes.values()),
        "expected_visits": {"value": visits, "low": None, "high": None},
        "by_utc_hour": pushes,
        "loss": 0.0,
    }


def test_plans_stand_side_by_side_hour_by_hour() -> None:
    before = sends({"2026-11-24T20:00Z": 3, "2026-11-24T23:00Z": 4}, 2.5)
    after = sends({"2026-11-24T21:00Z": 5, "2026-11-25T00:00Z": 1}, 2.0, barred=1)
    outcome = compare(before, after)
    assert [(row["at"].hour, row["before"], row["after"]) for row in outcome["hours"]] == [
        (20, 3, 0),
        (21, 0, 5),
        (22, 0, 0),
        (23, 4, 0),
        (0, 0, 1),
    ]
    changes = {row["title"]: row["change"] for row in outcome["figures"]}
    assert changes["Pushes"] == -1
    assert changes["Barred by the rules"] == 1
    text = part("what_if", "compared", outcome=outcome | {"users": 7, "seconds": 0.1}, wrong=[])
    assert "24 Nov 21:00 0 and 5" in text


def test_a_plan_without_pushes_has_no_picture() -> None:
    outcome = compare(sends({}, 0.0), sends({}, 0.0)) | {"users": 7, "seconds": 0.1}
    assert "<svg" not in part("what_if", "compared", outcome=outcome, wrong=[])


def test_errors_are_text() -> None:
    text = part("what_if", "compared", outcome={}, wrong=["<b>From</b>: It must be at most 23."])
    assert "&lt;b&gt;From" in text
    assert "<table" not in text
