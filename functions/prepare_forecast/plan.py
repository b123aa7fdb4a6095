"""Names, S3 addresses and queries of one forecast run, as pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

from functions.shared.instances import job_cluster, unusable_types, volume_key
from functions.shared.network import Network
from functions.shared.run_id import run_id
from functions.shared.sql_text import without_comment_lines

HISTORIES = "histories"
UNLOADED = {HISTORIES: "Histories", "known_users": "Known", "send_log": "Log"}
"""Queries that write Parquet, with their destination; the results of the others are small CSV files."""
PUSHES = "pushes"
"""Runs just before the plan, and again if plans have changed since."""
QUERIES = (HISTORIES, "known_users", "outcomes", "realised_visits", "responses", "send_log", PUSHES)
PLACES = (
    "Histories",
    "Known",
    "Audience",
    "Requests",
    "Users",
    "Answers",
    "Reference",
    "Log",
    "Forecasts",
    "Plans",
    "Messages",
    "Report",
)
"""Prefixes of a run. None may begin another, since SageMaker reads by prefix."""
HISTORY_VISIT_DAYS = 200
"""Last visit days of a user that a forecast is made from; a test compares it with visitcast.data.schedule."""
RECORD_DAYS = 400
"""Days before the forecast date whose UTC offsets tell a time zone; a test compares it with visitcast.sending.zones."""
CAPPED_DAYS = 6
"""Dates before a date, and after it, that are in a week of the cap with it; a test compares it with
visitcast.sending.pushes."""
KNOWN_DAYS = 30
"""Days before the forecast date in which the last published forecasts are looked up."""
LARGEST_CONCURRENT_PAYLOAD_MB = 100
FIRST_DATE, LAST_DATE = date(1990, 1, 1), date(2199, 12, 31)
"""Earlier events do not count, and the days before and after a date must be in the calendar too."""
CLOSED_DAYS = 28
"""Last dates that are over in every time zone from which expected and realised visits are compared; a test compares it
with visitcast.forecasting.correction."""
OUTCOME_DAYS = 7
"""The last of them, whose outcomes are compared with the evaluation."""
WESTERNMOST_HOURS = 12
"""A date is over everywhere so many hours after its end in UTC."""


def contradictions(execution_input: dict[str, Any]) -> Iterator[str]:
    """Return the keys that contradict one another, each with its remedy; the input has its defaults."""
    days = [("ForecastDate", execution_input.get("ForecastDate", "2000-01-01"))]
    days += [("Campaign.DatesWithoutSends", day) for day in execution_input["Campaign"]["DatesWithoutSends"]]
    for key, day in days:
        if not _is_in_calendar(day):
            yield f"{key}: {day} is not a date from {FIRST_DATE} to {LAST_DATE}"
    as_of = execution_input.get("AsOf", "2000-01-01T00:00:00Z")
    if not _is_in_calendar(as_of[:10]) or not _is_time(as_of):
        yield f"AsOf: {as_of} is not an instant from {FIRST_DATE} to {LAST_DATE}"
    window, quiet = execution_input["Campaign"]["SendWindow"], execution_input["Campaign"]["QuietHours"]
    if not _span(window, whole_if_equal=True) - (_span(quiet, whole_if_equal=False) if quiet else set()):
        yield (
            f"Campaign: SendWindow ({window['From']} to {window['Until']}) and QuietHours ({quiet['From']} to "
            f"{quiet['Until']}) leave no hour for a push; QuietHours: null sends in the whole window"
        )
    control = execution_input["Campaign"]["Control"]
    # Three decimal fractions that sum to 1 may miss it by a rounding error.
    if control["GlobalBestHourShare"] + control["RandomHourShare"] + control["NoPushShare"] > 1 + 1e-9:
        yield "Campaign.Control: the shares of the control arms sum to more than 1"
    largest = execution_input["Campaign"]["LargestHourShare"]
    if control["GlobalBestHourShare"] + control["RandomHourShare"] > largest + 1e-9:
        yield (
            "Campaign.Control: GlobalBestHourShare and RandomHourShare sum to more than LargestHourShare, and all of "
            "these users may have one hour, from which none of them is moved"
        )
    yield from unusable_types(execution_input)
    transform = execution_input["Transform"]
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html, MaxPayloadInMB
    if transform["MaxConcurrentTransforms"] * transform["MaxPayloadInMB"] > LARGEST_CONCURRENT_PAYLOAD_MB:
        yield (
            f"Transform: MaxConcurrentTransforms times MaxPayloadInMB is more than {LARGEST_CONCURRENT_PAYLOAD_MB}, "
            "which SageMaker refuses"
        )


def _is_in_calendar(day: str) -> bool:
    try:
        return FIRST_DATE <= date.fromisoformat(day) <= LAST_DATE
    except ValueError:
        return False


def _is_time(instant: str) -> bool:
    try:
        return _instant(instant) is not None
    except ValueError:
        return False


def _span(hours: dict[str, int], *, whole_if_equal: bool) -> set[int]:
    """Return the local hours between two; a test compares them with visitcast.sending.send_window."""
    start, end = hours["From"], hours["Until"]
    if start % 24 == end % 24:
        return set(range(24)) if whole_if_equal or start != end else set()
    return {hour for hour in range(24) if (hour - start) % 24 < (end - start) % 24}


def plan_forecast(
    execution_input: dict[str, Any],
    *,
    execution_id: str,
    started_at: str,
    bucket: str,
    network: Network,
    kms_key_arn: str = "",
) -> dict[str, Any]:
    """Plan one run.

    Parameters
    ----------
    execution_input
        Validated, with all defaults.
    execution_id
        ARN of the execution.
    started_at
        Its start time, ISO-8601 in UTC.
    bucket
        The application's bucket.
    network
        Network of the processing jobs.
    kms_key_arn
        Key of the jobs' volumes; empty for SageMaker's own key.

    Returns
    -------
    dict
        ``RunId``, ``ForecastDate``, ``AsOf``, ``Campaign`` (its name), ``Names``, ``Uris``, ``Keys`` and the input's
        sections that the states read.
    """
    run = run_id(execution_id, started_at)
    as_of = execution_input.get("AsOf", f"{_instant(started_at):%Y-%m-%dT%H:%M:%SZ}")
    day = execution_input.get("ForecastDate", (_instant(as_of).date() + timedelta(days=1)).isoformat())
    prefix = f"runs/{run}"
    root = f"s3://{bucket}/{prefix}"
    uris = {name: f"{root}/{name.lower()}" for name in PLACES}
    requests, transform, plan = (execution_input[name] for name in ("Requests", "Transform", "Plan"))
    return {
        "RunId": run,
        "ForecastDate": day,
        "AsOf": as_of,
        "Campaign": execution_input["Campaign"]["Name"],
        "MinimumGapHours": execution_input["Campaign"]["MinimumGapHours"],
        "Prefix": prefix,
        "Names": {
            "RequestsJobName": f"visitcast-requests-{run}",
            "TransformJobName": f"visitcast-forecast-{run}",
            "PlanJobName": f"visitcast-plan-{run}",
        },
        "Uris": uris,
        "NetworkConfig": network.processing_config(),
        "Keys": {"Report": f"{prefix}/report/report.json"},
        # The environment of a processing job holds strings only.
        "Requests": {
            **requests,
            "UsersPerFile": str(requests["UsersPerFile"]),
            "Cluster": job_cluster(requests, kms_key_arn, 1),
        },
        "Transform": {
            **transform,
            "Resources": {
                "InstanceType": transform["InstanceType"],
                "InstanceCount": transform["InstanceCount"],
                **volume_key(transform["InstanceType"], kms_key_arn),
            },
        },
        "Plan": {**plan, "Cluster": job_cluster(plan, kms_key_arn, 1)},
        **{name: execution_input[name] for name in ("OnDrift", "OnNoModel", "HandOver")},
        "Lift": {**execution_input["Lift"], "Campaign": _experiment(execution_input["Campaign"])},
    }


def _experiment(campaign: dict[str, Any]) -> dict[str, Any]:
    """Return what the report of the lift needs to know of a campaign."""
    return {name: campaign[name] for name in ("Name", "Control", "PricePerPush") if name in campaign}


def render_queries(run: dict[str, Any], database: str, folder: Path, events: str = "") -> list[dict[str, str]]:
    """Fill the run's dates and addresses into the SQL files.

    Parameters
    ----------
    run
        Result of `plan_forecast`.
    database
        Glue database.
    folder
        Of the SQL files.
    events
        Query that stands for the events table; empty for the table itself.

    Returns
    -------
    list
        ``Name`` and ``Sql`` of each query, in the order of `QUERIES`. Every value is a
        validated date or name, so nothing can be injected.
    """
    day = date.fromisoformat(run["ForecastDate"])
    closed = last_closed_date(day, _instant(run["AsOf"]))
    # Two local dates apart, two pushes may be as near as their times of day and the users' travels let them.
    near = max(CAPPED_DAYS, math.ceil(run["MinimumGapHours"] / 24) + 2)
    starts = {
        "lift_starts": day - timedelta(days=run["Lift"]["WindowDays"]),
        "known_since": day - timedelta(days=KNOWN_DAYS),
        "near_starts": day - timedelta(days=near),
        "near_ends": day + timedelta(days=near),
        "record_starts": day - timedelta(days=RECORD_DAYS),
        "forecast_date": day,
        "closed_starts": closed - timedelta(days=CLOSED_DAYS - 1),
        "week_starts": closed - timedelta(days=OUTCOME_DAYS - 1),
        "closed_ends": closed,
    }
    values = {
        "database": database,
        # Filled in last, since its regular expressions hold dollars.
        "events": "${events}",
        "campaign": run["Campaign"],
        "visits": _text(folder / "visits.sql"),
        "response_hours": str(run["Lift"]["ResponseHours"]),
        "lift_campaign": run["Lift"]["Campaign"]["Name"],
        # The only text of the input without a pattern.
        "lift_salt": run["Lift"]["Campaign"]["Control"]["Salt"].replace("'", "''"),
        "as_of": f"{_instant(run['AsOf']):%Y-%m-%d %H:%M:%S}",
        "as_of_date": _instant(run["AsOf"]).date().isoformat(),
        "history_visit_days": str(HISTORY_VISIT_DAYS),
        **{name: when.isoformat() for name, when in starts.items()},
        **{f"{name}_minus_1": (when - timedelta(days=1)).isoformat() for name, when in starts.items()},
        **{f"{name}_plus_1": (when + timedelta(days=1)).isoformat() for name, when in starts.items()},
    }
    # The same query as in training, on the last visit days.
    visits = Template(_text(folder / "visits_without_pushes.sql")).substitute(
        values, own_events=_text(folder / "own_events.sql")
    )
    visit_days = Template(_text(folder / "forecast" / "last_visit_days.sql")).substitute(
        values, visits_without_pushes=visits
    )
    texts = {HISTORIES: Template(_text(folder / "histories.sql")).safe_substitute(own_visits=visit_days)}
    texts |= {name: _text(folder / "forecast" / f"{name}.sql") for name in QUERIES if name not in texts}
    unpushed = Template(_text(folder / "forecast" / "unpushed_forecasts.sql")).substitute(values)
    values["events"] = f"(\n{events}\n)" if events else f'"{database}".events'
    destinations = {name: f"{run['Uris'][place]}/unloaded/" for name, place in UNLOADED.items()}
    filled = {
        name: Template(texts[name]).substitute(
            values, unpushed_forecasts=unpushed, destination=destinations.get(name, "")
        )
        for name in QUERIES
    }
    return [{"Name": name, "Sql": sql} for name, sql in filled.items()]


def last_closed_date(day: date, as_of: datetime) -> date:
    """Return the last date before a forecast date that is over in every time zone when the data end."""
    over = (as_of - timedelta(hours=WESTERNMOST_HOURS)).date() - timedelta(days=1)
    return min(over, day - timedelta(days=1))


def _text(file: Path) -> str:
    """Read a query without its comments and its indentation, a quarter of the payload that the states hand on."""
    return "\n".join(line.strip() for line in without_comment_lines(file.read_text(encoding="utf-8")).splitlines())


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
