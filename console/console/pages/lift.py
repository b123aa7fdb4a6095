"""*Lift*: the visits that pushes cause, with intervals that hold at all looks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from console.charts import Scale
from console.data import lift
from console.pages.rendering import page, stack_of

HEADLINE = ("best_hour", "no_push", "visited_date")
OUTCOMES = {
    "visited_date": "came on the date",
    "visited_24_hours": "within 24 h",
    "hit": "hits",
    "opened": "opened",
    "opted_out": "opted out",
}
WIDTH, HEIGHT = 640, 240


def index(request: Request) -> Response:
    """Show an experiment: the one of the query, or else the one that was looked at last and has arms."""
    stack = stack_of(request)
    known = lift.experiments(stack)
    wanted = request.query_params.get("of", "")
    # Without a wish, one that has something to show.
    default = next((one for one in known if with_arms(one).arms), known[0] if known else None)
    chosen = next((one for one in known if f"{one.campaign} {one.salt}" == wanted), default)
    values: dict[str, Any] = {"known": known, "chosen": chosen, "outcomes": OUTCOMES}
    if chosen is not None:
        latest = with_arms(chosen)
        values |= {
            "latest": latest,
            "headline": headline(latest),
            "series": series(chosen),
            "arms": ratios(chosen, latest),
            "comparisons": forest(latest),
        }
    return page(request, "lift", stack=stack, **values)


def with_arms(experiment: lift.Experiment) -> lift.Look:
    """Return the last look that has arms; if none has, the last one."""
    return next((look for look in reversed(experiment.looks) if look.arms), experiment.looks[-1])


def headline(look: lift.Look) -> dict[str, Any] | None:
    """Return the comparison of the best hour with no push by visits on the date."""
    return next((one for one in look.lifts if (one["arm"], one["control"], one["outcome"]) == HEADLINE), None)


def series(experiment: lift.Experiment) -> dict[str, Any] | None:
    """Return the headline's interval at each look; None before the first one with an interval."""
    points = [
        (look, found)
        for look in experiment.looks
        if (found := headline(look)) is not None and found["per_1000_pushes"] is not None
    ]
    if not points:
        return None
    keys = ("per_1000_pushes_low", "per_1000_pushes_high")
    values = [found[key] for _, found in points for key in keys]
    low, high = min(0.0, *values), max(0.0, *values)
    room = (high - low or 1.0) * 0.06
    x, y = Scale(0, max(1, len(points) - 1), 60, WIDTH - 30), Scale(low - room, high + room, HEIGHT - 28, 10)
    return {
        "x": x,
        "y": y,
        "points": [
            {
                "at": look.as_of,
                "x": x(number) if len(points) > 1 else WIDTH / 2,
                "value": found["per_1000_pushes"],
                "low": found[keys[0]],
                "high": found[keys[1]],
                "verdict": found["verdict"],
            }
            for number, (look, found) in enumerate(points)
        ],
    }


def ratios(experiment: lift.Experiment, look: lift.Look) -> list[dict[str, Any]]:
    """Return a row for each arm at a look, with the share of the users that it has and is to have."""
    arms = look.arms
    users = sum(arm["users"] for arm in arms)
    shares = experiment.shares()
    return [{**arm, "share": arm["users"] / users if users else None, "wanted": shares.get(arm["arm"])} for arm in arms]


def forest(look: lift.Look) -> list[dict[str, Any]]:
    """Return a row for each comparison at a look; ``places`` has those of its interval, None where there is none."""
    known = [one for one in look.lifts if one["low"] is not None]
    ends = [1000 * one[end] for one in known for end in ("low", "high")]
    scale = Scale(min(0.0, *ends), max(0.0, *ends), 6, 194) if ends else Scale(0, 1, 6, 194)
    rows = []
    for one in look.lifts:
        places = None
        if one in known:
            places = {
                name: scale(1000 * one[key]) for name, key in (("low", "low"), ("high", "high"), ("at", "difference"))
            }
            places["zero"] = scale(0)
        rows.append({**one, "places": places})
    return rows
