"""Histories as the schedule sees them, against a plain loop."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_visits import changed, datasets, made_dataset

from visitcast.data import schema
from visitcast.data.calendar import date_of, days_since_epoch
from visitcast.data.dataset import Dataset, with_target_days
from visitcast.data.schedule import QUIET_HOURS, SCHEDULE_HOUR_UTC, as_known, known_at, scheduled_at


def hours_known(dataset: Dataset, row: int, day: date) -> list[int]:
    """Local hours of a visit day with a visit that had begun when `day` was forecast."""
    run_at = datetime(day.year, day.month, day.day, SCHEDULE_HOUR_UTC, tzinfo=UTC) - timedelta(days=1)
    visit_day = date_of(int(dataset.visit_date[row]))
    midnight = datetime(visit_day.year, visit_day.month, visit_day.day, tzinfo=UTC)
    offset = timedelta(minutes=int(dataset.utc_offset_minutes[row]))
    return [
        hour
        for hour in range(schema.HOURS)
        if int(dataset.hourly_visits[row]) >> hour & 1 and midnight + timedelta(hours=hour) - offset < run_at
    ]


@given(
    seed=st.integers(0, 5),
    offset=st.sampled_from([-720, -480, -240, -210, 0, 60, 345, 540, 840]),
    visit_days=st.sampled_from([1, 3, 200]),
    back=st.integers(-3, 12),
)
def test_histories_are_those_of_a_plain_loop(seed: int, offset: int, visit_days: int, back: int) -> None:
    made = made_dataset(users=12, mean_days=8, seed=seed)
    offsets = np.full_like(made.utc_offset_minutes, offset)
    dataset = Dataset(made.user_ids, made.offsets, {**made.columns, schema.UTC_OFFSET_MINUTES: offsets})
    day = date(2026, 11, 20) - timedelta(days=back)
    users = np.arange(dataset.users)[::-1].copy()
    known = as_known(dataset, users, np.full(len(users), days_since_epoch(day)), visit_days)

    assert (known.as_of == scheduled_at(np.array([days_since_epoch(day)]))).all()
    pairs = iter(range(len(known.pairs)))
    for position, user in enumerate(users):
        rows = [
            (row, hours)
            for row in range(dataset.offsets[user], dataset.offsets[user + 1])
            if dataset.visit_date[row] < days_since_epoch(day) and (hours := hours_known(dataset, row, day))
        ][-visit_days:]
        if not rows:
            assert position not in known.pairs
            continue
        pair = next(pairs)
        assert known.pairs[pair] == position
        assert known.dataset.user_ids[pair] == dataset.user_ids[user]
        first, target = known.dataset.offsets[pair], known.dataset.offsets[pair + 1] - 1
        assert target - first == len(rows)
        assert known.dataset.visit_date[target] == days_since_epoch(day)
        assert all(values[target] == 0 for name, values in known.dataset.columns.items() if name != schema.VISIT_DATE)
        for row, (original, hours) in enumerate(rows, start=first):
            assert known.dataset.hourly_visits[row] == sum(1 << hour for hour in hours)
            assert known.dataset.first_visit_hour[row] == hours[0]
            assert known.dataset.last_visit_hour[row] == hours[-1]
            whole = bin(int(dataset.hourly_visits[original])).count("1") == len(hours)
            views = known.dataset.total_page_views[row]
            assert views == dataset.total_page_views[original] if whole else views >= 1
            assert views == sum(known.dataset.columns[name][row] for name in schema.PAGE_VIEWS_BY_TYPE)


@pytest.mark.parametrize(
    ("offset", "last_hour"), [(840, 23), (540, 23), (480, 23), (0, 15), (-480, 7), (-720, 3)], ids=str
)
def test_the_eve_is_cut_at_the_instant_of_the_run(offset: int, last_hour: int) -> None:
    """At 16:00 UTC the eve is over in China and east of it, and it is 08:00 in California."""
    day = days_since_epoch(date(2026, 11, 20))
    every_hour = 2**schema.HOURS - 1
    values = {
        **{column.name: np.zeros(4) for column in schema.DAY_COLUMNS},
        schema.VISIT_DATE: np.array([day - 3, day - 2, day - 1, day]),
        schema.HOURLY_VISITS: np.full(4, every_hour),
        schema.LAST_VISIT_HOUR: np.full(4, 23),
        schema.UTC_OFFSET_MINUTES: np.full(4, offset),
    }
    typed = {column.name: values[column.name].astype(column.dtype) for column in schema.DAY_COLUMNS}
    dataset = Dataset(np.array(["user"]), np.array([0, 4]), typed)
    known = as_known(dataset, np.array([0]), np.array([day])).dataset
    assert known.visit_date.tolist() == [day - 3, day - 2, day - 1, day]
    assert known.last_visit_hour[:-1].tolist() == [23, 23, last_hour]


@given(datasets(), st.integers(-48, 400), st.sampled_from([-720, -480, 0, 345, 840]))
def test_a_history_ends_at_any_instant(dataset: Dataset, hours_back: int, offset: int) -> None:
    dataset = changed(dataset, utc_offset_minutes=np.full(dataset.visit_days, offset))
    target = int(dataset.visit_date.max()) + 1
    asked = with_target_days(dataset, np.full(dataset.users, target))
    as_of = (target * 24 - hours_back) * 60
    found = known_at(asked, np.full(dataset.users, as_of))
    left = []
    for user in range(dataset.users):
        for row in range(asked.offsets[user], asked.offsets[user + 1]):
            begins = int(asked.visit_date[row]) * 1440 - offset
            hours = [hour for hour in range(24) if asked.hourly_visits[row] >> hour & 1 and begins + 60 * hour < as_of]
            if hours or asked.visit_date[row] == target:
                left.append((user, int(asked.visit_date[row]), hours))
    user = np.repeat(np.arange(found.users), np.diff(found.offsets))
    hours = [[hour for hour in range(24) if mask >> hour & 1] for mask in found.hourly_visits]
    assert list(zip(user.tolist(), found.visit_date.tolist(), hours, strict=True)) == left
    assert known_at(found, np.full(dataset.users, as_of)) is found


def test_the_template_runs_at_the_hour_of_the_schedule() -> None:
    """16:00 UTC of the day before is an hour before the shipped quiet hours end in the easternmost zone."""
    template = (Path(__file__).parents[2] / "template.yaml").read_text(encoding="utf-8")
    assert f"cron(0 {SCHEDULE_HOUR_UTC} * * ? *)" in template
    quiet_until = QUIET_HOURS[1]
    quiet_ends = 24 + quiet_until - schema.EASTERNMOST_MINUTES // 60
    assert quiet_ends - SCHEDULE_HOUR_UTC == 1
