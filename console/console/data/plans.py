"""The send plan of a campaign and date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from console.data.athena import literal, rows, together
from console.data.objects import partitions, read_json
from console.data.stack import Stack


@dataclass(frozen=True)
class Plan:
    """A send plan.

    Attributes
    ----------
    run : str
        The run that has made it.
    report : dict
        Its ``report.json``.
    campaign : dict
        The rules: ``campaign.json`` of the run.
    wanted : dict of int
        Users by the hour of UTC of their best hour, before rules and capacity, by ISO hour.
    sends : dict of dict
        Pushes by the hour of UTC and arm; what is withheld is under its reason.
    capacity : int
        Most pushes in an hour of UTC; 0 if the rules are not known.
    handed_over : int
        Pushes in the table ``sends``.
    """

    run: str
    report: dict[str, Any]
    campaign: dict[str, Any]
    wanted: dict[str, int]
    sends: dict[str, dict[str, int]]
    capacity: int
    handed_over: int


def plans(stack: Stack) -> list[tuple[str, str]]:
    """List date and campaign of the plans, the latest first."""
    return [(partition.values[0], partition.values[1]) for partition in partitions(stack, "send_plans")]


def read_plan(stack: Stack, day: date, campaign: str) -> Plan | None:
    """Read a plan; return None if there is none."""
    found = [one for one in partitions(stack, "send_plans") if one.values == (f"{day}", campaign)]
    if not found:
        return None
    run = found[0].run
    report = read_json(stack.bucket, f"runs/{run}/report/report.json")
    rules = read_json(stack.bucket, f"runs/{run}/audience/campaign.json")
    of_plan = f"dt = {literal(f'{day}')} AND campaign = {literal(campaign)}"
    wanted_sql = (
        "SELECT date_format(date_add('minute', -CAST(coalesce(utc_offset_minutes, 0) AS integer), "
        "date_add('hour', CAST(best_hour AS integer), CAST(dt AS timestamp))), '%Y-%m-%dT%H') AS at_hour, "
        f"count(*) AS users FROM visit_forecasts WHERE dt = {literal(f'{day}')} GROUP BY 1"
    )
    sends_sql = (
        "SELECT date_format(send_at_utc, '%Y-%m-%dT%H') AS at_hour, coalesce(withheld, arm) AS what, "
        "count(*) AS pushes "
        f"FROM send_plans WHERE {of_plan} GROUP BY 1, 2"
    )
    handed_sql = f"SELECT count(*) AS pushes FROM sends WHERE {of_plan} AND withheld IS NULL"
    wanted, sends, handed = together(*(partial(rows, stack, sql) for sql in (wanted_sql, sends_sql, handed_sql)))
    by_hour: dict[str, dict[str, int]] = {}
    for row in sends:
        by_hour.setdefault(row["at_hour"], {})[row["what"]] = int(row["pushes"])
    share = rules.get("LargestHourShare", 0)
    return Plan(
        run=run,
        report=report,
        campaign=rules,
        wanted={row["at_hour"]: int(row["users"]) for row in wanted},
        sends=by_hour,
        capacity=int(share * report.get("users", 0)),
        handed_over=int(handed[0]["pushes"]) if handed else 0,
    )
