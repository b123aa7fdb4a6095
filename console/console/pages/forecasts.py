"""*Forecasts*: the totals of a date, and one user: the hours, the history, what speaks for this hour."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from console import charts
from console.data import forecasts
from console.data.athena import together
from console.pages.rendering import page, stack_of


def index(request: Request) -> Response:
    """Show a date, and a user if one is named."""
    stack = stack_of(request)
    known = forecasts.dates(stack)
    if not known:
        return page(request, "forecasts", stack=stack, dates=[], day=None)
    day = request.query_params.get("date", known[0])
    if day not in known:
        day = known[0]
    when = date.fromisoformat(day)
    text, user = request.query_params.get("find", "").strip(), request.query_params.get("user", "")
    totals, found = together(lambda: forecasts.totals(stack, when), lambda: forecasts.find_users(stack, when, text))
    if not user and text and len(found) == 1:
        user = found[0]
    values: dict[str, Any] = {"dates": known, "day": when, "find": text, "found": found, "user": user, "totals": totals}
    forecast = forecasts.forecast_of(stack, when, user) if user else None
    if forecast is not None:
        history, sends = together(
            lambda: forecasts.history_of(stack, when, user), lambda: forecasts.sends_of(stack, when, user)
        )
        first = when - timedelta(days=forecasts.HISTORY_DAYS)
        views = {visited: sum(hours.values()) for visited, hours in history.hours.items()}
        values |= {
            "history": history,
            "calendar": charts.calendar(views, first, when - timedelta(days=1), "page views"),
            "week": week(history),
            "reasons": reasons(history, totals),
            "sends": sends,
        }
    return page(request, "forecasts", stack=stack, forecast=forecast, **values)


def reasons(history: forecasts.History, totals: forecasts.Totals) -> list[dict[str, Any]]:
    """Return what speaks for an hour: shares of visit days with a visit in each hour, and the mean forecast of all."""
    recent, weekday = history.recent(), history.same_weekday()
    return [
        {
            "title": "Recent habit",
            "text": f"{len(recent)} visit days in the {forecasts.RECENT_DAYS} days before",
            "values": history.shares(recent),
        },
        {
            "title": f"{history.until:%A}s",
            "text": f"{len(weekday)} visit days on this weekday",
            "values": history.shares(weekday),
        },
        {
            "title": "All days",
            "text": f"{len(history.hours)} visit days",
            "values": history.shares(list(history.hours)),
        },
        {
            "title": "Everybody",
            "text": f"mean forecast of {totals.users:,} users for this date",
            "values": totals.mean_visit_hour,
        },
    ]


def week(history: forecasts.History) -> list[charts.Cell]:
    """Return the cells of a heat map of weekdays and hours: on how many days the user visited then."""
    counts = {(weekday, hour): 0 for weekday in range(7) for hour in range(forecasts.HOURS)}
    for visited, hours in history.hours.items():
        for hour in hours:
            counts[visited.weekday(), hour] += 1
    largest = max(counts.values(), default=0)
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return [
        charts.Cell(
            hour,
            weekday,
            charts.shade(count, largest),
            f"{names[weekday]} {hour:02d}:00: visited on {count} day{'' if count == 1 else 's'}",
        )
        for (weekday, hour), count in counts.items()
    ]
