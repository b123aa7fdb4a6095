"""*Plan*: the sends of each hour, before and after rules and capacity."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from console.data import plans
from console.pages.rendering import page, stack_of

ARMS = ("best_hour", "global_best_hour", "random_hour")
"""Arms that get pushes, in the order of the stacked bars."""


def index(request: Request) -> Response:
    """Show a plan: the one of the query, or else the latest."""
    stack = stack_of(request)
    known = plans.plans(stack)
    if not known:
        return page(request, "plan", stack=stack, known=[], plan=None)
    wanted = (request.query_params.get("date", ""), request.query_params.get("campaign", ""))
    if "of" in request.query_params:
        day, _, campaign = request.query_params["of"].partition(" ")
        wanted = (day, campaign)
    day, campaign = wanted if wanted in known else known[0]
    plan = plans.read_plan(stack, date.fromisoformat(day), campaign)
    return page(request, "plan", stack=stack, known=known, day=day, campaign=campaign, plan=plan, hours=hours(plan))


def hours(plan: plans.Plan | None) -> list[dict[str, Any]]:
    """Return a row for each hour of UTC from the first to the last with a wish or a send."""
    if plan is None or not (plan.wanted or plan.sends):
        return []
    known = sorted(plan.wanted.keys() | plan.sends.keys())
    at, last = datetime.fromisoformat(known[0]), datetime.fromisoformat(known[-1])
    rows = []
    while at <= last:
        key = f"{at:%Y-%m-%dT%H}"
        sends = plan.sends.get(key, {})
        pushes = {arm: sends.get(arm, 0) for arm in ARMS}
        rows.append(
            {
                "at": at,
                "wanted": plan.wanted.get(key, 0),
                "arms": pushes,
                "pushes": sum(pushes.values()),
                "withheld": sum(count for what, count in sends.items() if what not in ARMS),
            }
        )
        at += timedelta(hours=1)
    return rows
