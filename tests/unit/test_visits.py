"""Visits from files of either kind and from DataFrames are the same dataset, and keep the same rules."""

import numpy as np
import pandas as pd
import pytest
from made_visits import AS_OF, assert_same_dataset, from_frame, made_frame, write_csv, write_histories

from visitcast.data import schema
from visitcast.data.validation import RuleError
from visitcast.data.visits import read_visits
from visitcast.errors import InputError

GOOD = made_frame(users=8, seed=4)
EXPECTED = from_frame(GOOD)


def test_files_and_folders_give_the_dataset_of_the_frame(tmp_path):
    csv, parquet = write_csv(tmp_path / "csv/visits.csv", GOOD), write_histories(tmp_path / "histories/0", GOOD)
    for source in (csv, str(csv), csv.parent, parquet, parquet.parent, GOOD):
        assert_same_dataset(read_visits(source, AS_OF), EXPECTED)


def test_users_are_in_order_whatever_the_order_of_the_files(tmp_path):
    for number, users in enumerate((["user-0003"], sorted(set(GOOD.user_id) - {"user-0003"}))):
        write_csv(tmp_path / f"{number}.csv", GOOD[GOOD.user_id.isin(users)])
    assert_same_dataset(read_visits(tmp_path, AS_OF), EXPECTED)


@pytest.mark.parametrize("dates", [pd.to_datetime, lambda days: pd.to_datetime(days).dt.date], ids=["pandas", "python"])
def test_a_frame_may_have_any_order_and_the_types_of_pandas(dates):
    frame = GOOD.sample(frac=1, random_state=3).assign(
        visit_date=lambda visits: dates(visits.visit_date),
        platform=lambda visits: visits.platform.astype("category"),
        utc_offset_minutes=lambda visits: visits.utc_offset_minutes.astype("float64"),
    )
    assert_same_dataset(read_visits(frame[sorted(frame.columns)], AS_OF), EXPECTED)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("first_visit_hour", 24, "range"),
        ("first_visit_hour", 7.5, "type"),
        ("first_visit_hour", float("nan"), "value present"),
        ("platform", None, "value present"),
        ("visit_date", "2027-01-01", "not in the future"),
        ("visit_date", "tomorrow", "type"),
        ("visit_date", pd.Timestamp("2026-11-01T12:30"), "type"),
        ("visit_date", pd.Timestamp("2026-11-01", tz="Europe/Berlin"), "type"),
    ],
)
def test_a_bad_value_is_named_with_its_row(column, value, rule):
    frame = GOOD.head(4).astype({column: object})
    frame.loc[2, column] = value
    if isinstance(value, pd.Timestamp):
        frame[column] = pd.to_datetime(frame[column], utc=value.tz is not None)
    with pytest.raises(RuleError) as caught:
        read_visits(frame, AS_OF)
    assert (caught.value.rule, caught.value.columns) == (rule, (column,))
    assert "row 2: " in caught.value.cause or isinstance(value, pd.Timestamp)


@pytest.mark.parametrize("value", [True, [7]], ids=str)
def test_a_column_of_another_type_is_named(value):
    with pytest.raises(InputError, match="column first_visit_hour"):
        read_visits(GOOD.head(2).assign(first_visit_hour=pd.Series([value, 7])), AS_OF)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        pytest.param(GOOD.drop(columns="platform"), "missing: 'platform'", id="missing"),
        pytest.param(GOOD.assign(password="x"), "unknown: 'password'", id="unknown"),
        pytest.param(GOOD.head(0), "no rows", id="empty"),
    ],
)
def test_a_frame_that_is_not_one_of_visits(frame, said):
    with pytest.raises(InputError, match=said):
        read_visits(frame, AS_OF)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_path_without_visits(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no visits in"):
        read_visits(tmp_path / name)


def test_by_default_the_data_end_now():
    tomorrow = np.datetime_as_string(np.datetime64("now", "D") + 2)
    with pytest.raises(RuleError, match="not in the future"):
        read_visits(GOOD.head(1).assign(**{schema.VISIT_DATE: tomorrow}))
