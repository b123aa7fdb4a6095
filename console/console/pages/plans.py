"""*Plan*: the sends of each hour, before and after rules and capacity, and with other rules."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from console.data import plans, what_if
from console.forms import Field, filled_form, read_form
from console.pages.rendering import page, part, settings_of, stack_of

ARMS = ("best_hour", "global_best_hour", "random_hour")
"""Arms that get pushes, in the order of the stacked bars."""
RULES = ("SendWindow", "QuietHours", "LargestHourShare", "MinimumGapHours")
"""Rules of a campaign that can be changed on the page."""
COMPARED = (
    ("planned", "Pushes"),
    ("expected_visits", "Visits expected in the hour of the push"),
    ("barred", "Barred by the rules"),
    ("no_room", "No room"),
    ("moved", "Moved for capacity"),
)
"""Figures of a plan that are compared, and what the page calls them."""


def index(request: Request) -> Response:
    """Show a plan: the one of the query, or else the latest."""
    stack = stack_of(request)
    known = plans.plans(stack)
    if not known:
        return page(request, "plan", stack=stack, known=[], plan=None)
    day, campaign = _asked(request, known)
    plan = plans.read_plan(stack, date.fromisoformat(day), campaign)
    values: dict[str, Any] = {"known": known, "day": day, "campaign": campaign, "plan": plan, "hours": hours(plan)}
    if plan is not None:
        schema = _schema(request)
        values["form"] = filled_form(schema, plan.campaign)
        values["outcome"] = None
        if "changed" in request.query_params:  # a browser without scripts
            values["form"], values["outcome"] = _changed(request, plan, schema)
    return page(request, "plan", stack=stack, **values)


def changed(request: Request) -> Response:
    """Return the part of the page that compares the plan with that of the rules in the query."""
    stack = stack_of(request)
    day, campaign = _asked(request, plans.plans(stack))
    plan = plans.read_plan(stack, date.fromisoformat(day), campaign)
    if plan is None:
        raise ValueError("The plan has been withdrawn.")
    form, outcome = _changed(request, plan, _schema(request))
    wrong = [f"{one.name}: {error}" for one in form.all() for error in one.errors]
    text = part("what_if", "compared", outcome=outcome, wrong=wrong)
    return HTMLResponse(text, 422 if wrong or "failure" in outcome else 200)


def _asked(request: Request, known: list[tuple[str, str]]) -> tuple[str, str]:
    """Return date and campaign of the query, or those of the latest plan."""
    wanted = (request.query_params.get("date", ""), request.query_params.get("campaign", ""))
    if "of" in request.query_params:
        day, _, campaign = request.query_params["of"].partition(" ")
        wanted = (day, campaign)
    if not known:
        raise ValueError("No plan has been published yet.")
    if wanted == ("", ""):
        return known[0]
    if wanted not in known:
        raise ValueError(f"There is no plan of campaign {wanted[1]!r} for {wanted[0]!r}.")
    return wanted


def _schema(request: Request) -> dict[str, Any]:
    """Return the schema of the rules that can be changed."""
    file = settings_of(request).schemas / "forecast.input.schema.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    rules = whole["properties"]["Campaign"]["properties"]
    return {**whole, "properties": {name: rules[name] for name in RULES}, "required": []}


def _changed(request: Request, plan: plans.Plan, schema: Mapping[str, Any]) -> tuple[Field, dict[str, Any]]:
    """Return the form of the query and what its rules change; the latter is empty if the form has an error."""
    form, document = read_form(schema, parse_qs(request.url.query, keep_blank_values=True))
    if document is None:
        return form, {}
    # Rules whose fields are empty stay as they are.
    rules = dict(plan.campaign)
    for name, value in document.items():
        before = rules.get(name)
        rules[name] = {**_defaults(schema, name), **(before or {}), **value} if isinstance(value, dict) else value
    users, begun = plan.report.get("users", 0), time.monotonic()
    try:
        before, after = (what_if.sends(plan.run, campaign, users) for campaign in (plan.campaign, rules))
    except ValueError as error:
        return form, {"failure": str(error)}
    return form, compare(before, after) | {"users": users, "seconds": time.monotonic() - begun}


def _defaults(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value["default"] for key, value in schema["properties"][name]["properties"].items()}


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return two plans side by side.

    Parameters
    ----------
    before, after : mapping
        As a report has them under ``sends``.
    """
    figures = []
    for key, title in COMPARED:
        was, becomes = (plan[key]["value"] if key == "expected_visits" else plan[key] for plan in (before, after))
        figures.append({"title": title, "before": was, "after": becomes, "change": becomes - was})
    at = sorted(before["by_utc_hour"].keys() | after["by_utc_hour"].keys())
    by_hour = []
    if at:
        first, last = (datetime.fromisoformat(at[place]) for place in (0, -1))
        for number in range(int((last - first).total_seconds()) // 3600 + 1):
            when = first + timedelta(hours=number)
            key = f"{when:%Y-%m-%dT%H}:00Z"
            counts = {"before": before["by_utc_hour"].get(key, 0), "after": after["by_utc_hour"].get(key, 0)}
            by_hour.append({"at": when, **counts})
    return {"figures": figures, "hours": by_hour, "loss": {"before": before["loss"], "after": after["loss"]}}


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
