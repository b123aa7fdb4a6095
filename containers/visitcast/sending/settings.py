"""Settings of the forecast jobs, from their environment and the campaign's file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from visitcast.data.calendar import days_since_epoch
from visitcast.data.instants import read_instant
from visitcast.errors import InputError
from visitcast.sending.arms import ControlGroup
from visitcast.sending.drift import Limits
from visitcast.sending.send_window import SendRules

FORECAST_DATE: Final = "VISITCAST_FORECAST_DATE"
AS_OF: Final = "VISITCAST_AS_OF"
USERS_PER_FILE: Final = "VISITCAST_USERS_PER_FILE"
ENVIRONMENT: Final = "VISITCAST_ENVIRONMENT"


@dataclass(frozen=True)
class Campaign:
    """How the sends of a date are planned.

    Attributes
    ----------
    name : str
        Part of every message's idempotency key.
    rules : SendRules
        Window, quiet hours, gap and caps.
    largest_hour_share : float
        Largest share of the users who may get their push in any one hour of UTC, > 0 and at most 1.
    control : ControlGroup
        Users who get their push at another hour, for comparison.
    by_response : bool
        Whether pushes go out in the hours that cause most visits, once the log of sends shows which these are.
    limits : Limits
        Limits beyond which a run raises the alarm.
    fallback_hour : int or None
        Local hour, or the nearest possible one, that is the best hour of users with too little history for a forecast
        of their own. None: that of the forecast.
    """

    name: str
    rules: SendRules
    largest_hour_share: float
    control: ControlGroup
    by_response: bool
    limits: Limits
    fallback_hour: int | None = None


def forecast_date(environment: Mapping[str, str]) -> int:
    """Return the date to forecast, days since 1970-01-01.

    Raises
    ------
    InputError
        It is not set, or not a date.
    """
    text = environment.get(FORECAST_DATE, "")
    try:
        return days_since_epoch(date.fromisoformat(text))
    except ValueError:
        raise InputError(
            f"{FORECAST_DATE} is not a date.", f"It is {text!r}.", "Use a date such as 2026-11-24."
        ) from None


def as_of(environment: Mapping[str, str]) -> datetime:
    """Return the instant at which the data end.

    Raises
    ------
    InputError
        It is not set, or not an instant.
    """
    return read_instant(AS_OF, environment.get(AS_OF, ""))


def users_per_file(environment: Mapping[str, str]) -> int:
    """Return the request lines per file: few enough to share among instances, enough to keep one busy.

    The execution input's 5,000 are some 30 MB at 30 visit days a user.

    Raises
    ------
    InputError
        It is not set, or not a positive number.
    """
    text = environment.get(USERS_PER_FILE, "")
    if not text.isdecimal() or int(text) < 1:
        raise InputError(
            f"{USERS_PER_FILE} is not a positive number.", f"It is {text!r}.", "Use a number such as 5000."
        )
    return int(text)


def environment_name(environment: Mapping[str, str]) -> str:
    """Return the name of the deployment, which distinguishes its metrics from those of others.

    Raises
    ------
    InputError
        It is not set. Metrics without it could belong to any deployment.
    """
    if not (name := environment.get(ENVIRONMENT, "")):
        raise InputError(f"{ENVIRONMENT} is not set.", "It names the metrics.", "Set it to the stack's Environment.")
    return name


def campaign(file: Path) -> Campaign:
    """Read the campaign, a JSON object as ``Campaign`` in the execution input with every default filled in.

    Raises
    ------
    InputError
        The file is missing, is not a JSON object, or lacks a key.
    """
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    try:
        return campaign_of(json.loads(text))
    except ValueError as error:
        raise _not_a_campaign(error, text) from None


def campaign_of(content: Mapping[str, Any]) -> Campaign:
    """Return the campaign that a JSON object describes, as ``Campaign`` in the execution input with all defaults.

    Raises
    ------
    InputError
        It lacks a key, or a value is of another type.
    """
    try:
        quiet = content["QuietHours"]
        return Campaign(
            name=content["Name"],
            rules=SendRules(
                window=(content["SendWindow"]["From"], content["SendWindow"]["Until"]),
                quiet=(quiet["From"], quiet["Until"]) if quiet else None,
                minimum_gap_minutes=round(content["MinimumGapHours"] * 60),
                most_a_day=content["MostPushesADay"],
                most_a_week=content["MostPushesAWeek"],
                weekdays=tuple(content["Weekdays"]),
                dates_without_sends=frozenset(
                    days_since_epoch(date.fromisoformat(day)) for day in content["DatesWithoutSends"]
                ),
            ),
            largest_hour_share=content["LargestHourShare"],
            control=ControlGroup(
                content["Control"]["Salt"],
                content["Control"]["GlobalBestHourShare"],
                content["Control"]["RandomHourShare"],
                content["Control"]["NoPushShare"],
            ),
            by_response=content["Policy"] == "response",
            limits=Limits(
                psi=content["Drift"]["Psi"],
                log_loss_increase=content["Drift"]["LogLossIncreaseNats"],
                hit_rate_decrease=content["Drift"]["HitRateDecrease"],
                visits_ratio=content["Drift"]["VisitsRatio"],
                minimum_rows=content["Drift"]["MinimumRows"],
            ),
            fallback_hour=content["FallbackHour"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _not_a_campaign(error, json.dumps(content)) from None


def _not_a_campaign(error: Exception, text: str) -> InputError:
    return InputError(
        "campaign.json is not a campaign.",
        f"{type(error).__name__}: {error} in {text[:300]!r}.",
        "The state Prepare forecast writes it beside the audience: start the execution again.",
    )
