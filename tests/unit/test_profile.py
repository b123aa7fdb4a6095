"""Profiles of active users: what is counted, and that a run and the training data are counted alike."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from made_visits import made_dataset

from visitcast.data import schema
from visitcast.data.calendar import date_of, days_since_epoch
from visitcast.data.dataset import select_users
from visitcast.data.schedule import Known, as_known
from visitcast.forecasting.forecaster import Forecast
from visitcast.forecasting.profile import ACTIVE_DAYS, Profile, profile, weekday_of, weekday_profiles

FIRST = "forecast: first visit hour"


def counted(absent_days: list[int], **changes: list[int]) -> Profile:
    users = len(absent_days)
    return profile(
        platform=np.array(changes.get("platform", [0] * users), dtype=np.int8),
        utc_offset_minutes=np.array(changes.get("offset", [0] * users), dtype=np.int16),
        history_days=np.array(changes.get("history", [9] * users)),
        absent_days=np.array(absent_days),
        first_visit_hour=np.eye(24, dtype=np.float32)[changes.get("hour", [12] * users)],
        best_hour=np.array(changes.get("hour", [12] * users)),
        confidence=np.linspace(0, 1, users),
    )


def test_values_at_the_ends_have_a_bin() -> None:
    found = counted([0, ACTIVE_DAYS], platform=[0, 3], offset=[-720, 840], history=[0, 10_000], hour=[0, 23])
    for counts in found.values():
        assert counts[0] == counts[-1] == 1
        assert sum(counts) == 2


def test_daylight_saving_time_is_no_drift() -> None:
    zones = ["America/Sao_Paulo", "America/Los_Angeles", "Africa/Cairo", "Asia/Jerusalem", "Europe/Moscow"]
    zones += ["Asia/Kolkata", "Asia/Tokyo", "Australia/Adelaide", "Pacific/Auckland", "Atlantic/Azores"]
    winter, summer = (
        [
            int((ZoneInfo(zone).utcoffset(datetime(2026, month, 15)) or timedelta()).total_seconds() / 60)
            for zone in zones
        ]
        for month in (1, 7)
    )
    assert winter != summer
    counts = [counted([1] * len(zones), offset=offsets)["input: utc offset"] for offsets in (winter, summer)]
    assert counts[0] == counts[1] == [2, 4, 2, 2]


def test_users_who_stay_away_do_not_count() -> None:
    found = counted([1, ACTIVE_DAYS, ACTIVE_DAYS + 1, 100_000], platform=[0, 1, 2, 2], hour=[1, 2, 3, 3])
    assert found["input: platform"] == [1, 1, 0, 0]
    assert all(sum(counts) == 2 for counts in found.values())
    assert all(sum(counts) == 0 for counts in counted([100_000]).values())


def by_first_hours(known: Known) -> Forecast:
    """A forecast that says the hour of the last first visit."""
    last = known.dataset.offsets[1:] - 2
    certain = np.eye(24, dtype=np.float32)[known.dataset.first_visit_hour[last]]
    return Forecast(certain, certain, np.full(len(last), schema.MODEL), np.ones(len(last), dtype=np.float32))


def test_the_training_data_have_a_profile_for_each_weekday_as_the_schedule_sees_it() -> None:
    dataset = made_dataset(users=200, mean_days=15)
    found = weekday_profiles(dataset, by_first_hours)
    assert sorted(found) == list("0123456")
    target = int(dataset.visit_date.max()) - 2
    platform, hours = [0] * 4, [0] * 24
    for user in range(dataset.users):
        known = as_known(select_users(dataset, np.array([user])), np.array([0]), np.array([target])).dataset
        days = known.visit_days - 1
        if days > 0 and target - 1 - known.visit_date[days - 1] <= ACTIVE_DAYS:
            platform[known.platform[days - 1]] += 1
            hours[known.first_visit_hour[days - 1]] += 1
    assert found[weekday_of(target)]["input: platform"] == platform
    assert found[weekday_of(target)][FIRST] == found[weekday_of(target)]["forecast: best hour"] == hours


@pytest.mark.parametrize("day", ["2026-11-23", "2026-11-29", "1969-12-28"])
def test_weekdays_are_those_of_the_calendar(day: str) -> None:
    days = days_since_epoch(date.fromisoformat(day))
    assert weekday_of(days) == str(date_of(days).weekday())
