"""What the page of the lift makes of the looks."""

from __future__ import annotations

from typing import Any

from console.data.lift import Experiment, Look
from console.pages.lift import forest, ratios, series, with_arms

SECTION: dict[str, Any] = {
    "Campaign": {"Control": {"GlobalBestHourShare": 0.05, "RandomHourShare": 0.05, "NoPushShare": 0.1}},
}


def comparison(low: float | None, high: float | None) -> dict[str, Any]:
    middle = None if low is None or high is None else (low + high) / 2
    return {
        "arm": "best_hour",
        "control": "no_push",
        "outcome": "visited_date",
        "verdict": "no difference shown",
        "low": low,
        "high": high,
        "difference": middle,
        "per_1000_pushes": middle and 1000 * middle,
        "per_1000_pushes_low": low and 1000 * low,
        "per_1000_pushes_high": high and 1000 * high,
    }


def look(as_of: str, arms: dict[str, int], *lifts: dict[str, Any]) -> Look:
    return Look("run", as_of, [{"arm": arm, "users": users} for arm, users in arms.items()], list(lifts), [])


def experiment(*looks: Look) -> Experiment:
    return Experiment("daily", "salt", SECTION, list(looks))


def test_a_look_without_an_interval_has_no_place_in_the_picture() -> None:
    found = experiment(
        look("2026-11-01T16:00:00Z", {"best_hour": 1}, comparison(None, None)),
        look("2026-11-02T16:00:00Z", {"best_hour": 1}, comparison(-0.1, 0.3)),
        look("2026-11-03T16:00:00Z", {"best_hour": 1}, comparison(0.05, 0.2)),
    )
    drawn = series(found)
    assert drawn is not None
    assert [point["at"][:10] for point in drawn["points"]] == ["2026-11-02", "2026-11-03"]
    heights = [drawn["y"](value) for value in (300, 0, -100)]
    assert heights == sorted(heights)
    assert series(experiment(found.looks[0])) is None


def test_places_are_on_a_common_scale_with_zero() -> None:
    rows = forest(look("2026-11-02T16:00:00Z", {}, comparison(-0.1, 0.3), comparison(None, None)))
    assert rows[0]["places"] == {"low": 6, "high": 194, "at": 100, "zero": 53}
    assert rows[1]["places"] is None


def test_shares_are_beside_those_that_are_to_be() -> None:
    last = look("2026-11-02T16:00:00Z", {"best_hour": 750, "no_push": 250})
    rows = ratios(experiment(last, look("2026-11-03T16:00:00Z", {})), last)
    assert [(row["share"], round(row["wanted"], 9)) for row in rows] == [(0.75, 0.8), (0.25, 0.1)]


def test_the_last_look_with_arms_is_shown() -> None:
    first, empty = look("2026-11-02T16:00:00Z", {"best_hour": 1}), look("2026-11-03T16:00:00Z", {})
    assert with_arms(experiment(first, empty)) is first
    assert with_arms(experiment(empty)) is empty
