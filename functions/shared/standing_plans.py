"""The list of plans that stand, one object in the bucket.

A plan stands from the moment its run may hand it over: its pushes count for the gap and the caps of all campaigns, and
another run of the same campaign and date hands over the same plan. A run reads the list before it plans, and adds its
plan only if the list has not changed since, by a conditional write. So of two runs at the same time one plans again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

KEY = "forecasts/standing_plans.json"
KEPT_DAYS = 62
"""Longer than the longest gap of 30 days, before and after a date."""
NO_RUN = "'none'"
CHANGED = ("PreconditionFailed", "ConditionalRequestConflict")
"""Errors of a conditional write: another one came first, or at the same time.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""

Standing = Mapping[str, Any]
"""``version``, a number that grows with every change; ``plans``, each with ``dt``, ``campaign`` and ``run``; and
``runs``, their runs as the values of an SQL list, which the workflow puts into a query."""

NOTHING: Standing = {"version": 0, "plans": [], "runs": NO_RUN}


def run_of(standing: Standing, day: str, campaign: str) -> str | None:
    """Return the run whose plan of a campaign and date stands, None if there is none.

    >>> run_of(with_plan(NOTHING, "2026-11-24", "daily", "run-1", date(2026, 11, 23)), "2026-11-24", "daily")
    'run-1'
    """
    return next((plan["run"] for plan in standing["plans"] if (plan["dt"], plan["campaign"]) == (day, campaign)), None)


def with_plan(standing: Standing, day: str, campaign: str, run: str, today: date) -> dict[str, Any]:
    """Return the list with one more plan, and without those that no gap or cap can concern any more.

    Parameters
    ----------
    standing
        The list before.
    day, campaign, run
        Forecast date, name of the campaign, and the run whose plan it is.
    today
        UTC date. A run for a date in the past must not remove the plans of today.
    """
    oldest = min(date.fromisoformat(day), today) - timedelta(days=KEPT_DAYS)
    plans = [plan for plan in standing["plans"] if date.fromisoformat(plan["dt"]) >= oldest]
    plans.append({"dt": day, "campaign": campaign, "run": run})
    runs = ", ".join(f"'{plan['run']}'" for plan in plans)
    return {"version": standing["version"] + 1, "plans": plans, "runs": runs}
