import gzip
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from made_visits import AS_OF, assert_same_dataset, from_frame, made_frame, write_csv

from visitcast.data import schema
from visitcast.data.dataset import concatenate
from visitcast.data.rules import CSV_RULES, HISTORY_RULES
from visitcast.data.validation import ROWS_SHOWN, RuleError
from visitcast.data.visits_csv import read_blocks
from visitcast.errors import MESSAGE_LIMIT, InputError

MANY_BYTES = 10**8
GOOD = made_frame(users=8, seed=2)


def read(*files, as_of=AS_OF, max_bytes=MANY_BYTES):
    return concatenate(list(read_blocks(files, as_of, max_bytes)))


def with_value(row, column, value):
    frame = GOOD.astype(object)
    frame.loc[row, column] = value
    return frame


def refused(tmp_path, frame):
    with pytest.raises(InputError) as caught:
        read(write_csv(tmp_path / "visits.csv", frame))
    assert len(str(caught.value)) <= MESSAGE_LIMIT
    return caught.value


def test_good_visits_come_through_unchanged(tmp_path):
    assert_same_dataset(read(write_csv(tmp_path / "visits.csv", GOOD)), from_frame(GOOD))


def test_columns_may_come_in_any_order(tmp_path):
    backwards = write_csv(tmp_path / "visits.csv", GOOD[GOOD.columns[::-1]])
    assert_same_dataset(read(backwards), from_frame(GOOD))


BAD_VALUES = [
    *((column, None, "value present") for column in schema.VISITS_COLUMNS),
    ("user_id", "", "value present"),
    ("platform", "  ", "value present"),
    ("user_id", "a\nb", "identifier"),
    ("user_id", "a\0", "identifier"),
    ("user_id", "x" * 257, "identifier"),
    ("total_page_views", "NaN", "type"),
    ("total_page_views", "3.0", "type"),
    ("total_page_views", "9" * 19, "type"),
    ("first_visit_hour", "noon", "type"),
    ("hourly_visits", "0x10", "type"),
    ("visit_date", "23.11.2026", "type"),
    ("visit_date", "2026-02-30", "type"),
    ("visit_date", "20261101", "type"),
    ("visit_date", "2026-11-01 00:00:00", "type"),
    ("first_visit_hour", 24, "range"),
    ("last_visit_hour", -1, "range"),
    ("total_time_spent_s", -5, "range"),
    ("total_page_views", 0, "range"),
    ("page_views_type_3", -1, "range"),
    ("hourly_visits", 0, "range"),
    ("hourly_visits", 2**24, "range"),
    ("utc_offset_minutes", 15 * 60, "range"),
    ("total_page_views", 1_000, "page types add up"),
    ("visit_date", "2026-11-25", "not in the future"),
]


@pytest.mark.parametrize(("column", "value", "rule"), BAD_VALUES, ids=[f"{c}={v!r}" for c, v, _ in BAD_VALUES])
def test_a_bad_value_is_named_with_its_column_rule_and_line(tmp_path, column, value, rule):
    row = len(GOOD) - 1
    error = refused(tmp_path, with_value(row, column, value))
    assert isinstance(error, RuleError)
    assert error.rule == rule
    assert column in error.columns
    assert f"visits.csv line {row + 2}: " in error.cause
    assert "1 row breaks it" in error.cause
    assert (f"{column}={str(value)!r}" if value is not None else f"{column}=NULL")[:40] in error.cause


@pytest.mark.parametrize("hour", [schema.FIRST_VISIT_HOUR, schema.LAST_VISIT_HOUR])
def test_a_mask_without_its_hour(tmp_path, hour):
    mask = GOOD.hourly_visits[3] & ~(1 << GOOD[hour][3])
    # Some other hour stays, so that the mask is not empty.
    mask |= 1 << ((GOOD[hour][3] + 12) % 24)
    error = refused(tmp_path, with_value(3, schema.HOURLY_VISITS, mask))
    assert isinstance(error, RuleError)
    assert hour in error.columns
    assert "line 5" in error.cause


def test_an_event_with_page_type_7_is_counted_in_the_total_alone(tmp_path):
    error = refused(tmp_path, with_value(0, "total_page_views", GOOD.total_page_views[0] + 1))
    assert "page type" in error.cause


def test_many_bad_rows_show_as_the_first_five(tmp_path):
    error = refused(tmp_path, GOOD.assign(first_visit_hour=99))
    assert f"{len(GOOD):,} rows break it" in error.cause
    assert error.cause.count("visits.csv line ") == ROWS_SHOWN
    assert "line 2: " in error.cause


def test_huge_values_do_not_flood_the_message(tmp_path):
    frame = GOOD.assign(page_views_type_1="x" * 10_000, user_id="u" * 10_000)
    assert str(refused(tmp_path, frame)).endswith("start again.")


def test_a_day_may_have_begun_further_east(tmp_path):
    """At 12:00 UTC it is 02:00 of the next day in UTC+14:00."""
    row = len(GOOD) - 1
    file = write_csv(tmp_path / "visits.csv", with_value(row, "visit_date", "2026-11-24"))
    assert read(file).visit_days == len(GOOD)
    with pytest.raises(RuleError, match="not in the future"):
        read(file, as_of=datetime(2026, 11, 23, 9, 59, tzinfo=UTC))


def test_a_repeated_user_day(tmp_path):
    error = refused(tmp_path, pd.concat([GOOD.iloc[:5], GOOD.iloc[4:]], ignore_index=True))
    assert isinstance(error, RuleError)
    assert error.rule == "one row per user and day"
    assert "line 7: " in error.cause


@pytest.mark.parametrize("by", ["date", "user"])
def test_unsorted_rows(tmp_path, by):
    order = np.arange(len(GOOD))
    if by == "date":
        order[[0, 1]] = [1, 0]
        expected_line = 3
    else:
        second_user = int((GOOD.user_id == GOOD.user_id[0]).sum())
        order = np.roll(order, -second_user)
        expected_line = len(GOOD) - second_user + 2
    error = refused(tmp_path, GOOD.iloc[order])
    assert isinstance(error, RuleError)
    assert error.rule == "sorted"
    assert f"line {expected_line}: " in error.cause


def test_shards_split_by_user_are_fine_in_any_order(tmp_path):
    even = GOOD.user_id.str[-1].astype(int) % 2 == 0
    files = [write_csv(tmp_path / "0.csv", GOOD[~even]), write_csv(tmp_path / "1.csv", GOOD[even])]
    assert read(*files).visit_days == len(GOOD)


def test_a_user_in_two_shards(tmp_path):
    files = [write_csv(tmp_path / "0.csv", GOOD.iloc[:1]), write_csv(tmp_path / "1.csv", GOOD.iloc[1:])]
    with pytest.raises(RuleError, match="one file per user") as caught:
        read(*files)
    assert f"1.csv line 2: user_id='{GOOD.user_id[0]}'" in caught.value.cause


def test_a_line_number_belongs_to_its_own_file(tmp_path):
    cut = int((GOOD.user_id == GOOD.user_id[0]).sum())
    bad = with_value(cut + 2, "utc_offset_minutes", 9999)
    files = [write_csv(tmp_path / "0.csv", bad.iloc[:cut]), write_csv(tmp_path / "1.csv", bad.iloc[cut:])]
    with pytest.raises(RuleError, match=r"1\.csv line 4"):
        read(*files)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (GOOD.drop(columns="platform"), "missing: 'platform'"),
        (GOOD.assign(password="secret"), "unknown: 'password'"),
        (GOOD.rename(columns={"visit_date": "Visit_Date"}), "missing: 'visit_date'; unknown: 'Visit_Date'"),
        (pd.concat([GOOD, GOOD[["platform"]]], axis=1), "there twice: 'platform'"),
    ],
    ids=["missing", "unknown", "renamed", "twice"],
)
def test_other_columns(tmp_path, frame, words):
    assert words in refused(tmp_path, frame).cause


def test_an_empty_result(tmp_path):
    assert "found no visits" in refused(tmp_path, GOOD.iloc[:0]).headline


def test_no_file_at_all():
    with pytest.raises(InputError, match="no visits CSV"):
        read()


def test_a_file_ten_times_too_large(tmp_path):
    file = write_csv(tmp_path / "visits.csv", GOOD)
    with pytest.raises(InputError, match="larger than this job accepts"):
        read(file, max_bytes=file.stat().st_size // 10)
    assert read(file, max_bytes=file.stat().st_size).visit_days == len(GOOD)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00garbage\x80",
        gzip.compress(b"user_id\n1\n"),
        b"<html><body>Access denied</body></html>\n",
        b"PAR1\x15\x04\x15\x00",
    ],
    ids=["no bytes", "not UTF-8", "packed", "web page", "Parquet"],
)
def test_a_file_that_is_no_visits_csv_is_named(tmp_path, content):
    file = tmp_path / "visits.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"visits\.csv"):
        read(file)


@pytest.mark.parametrize("damage", ["short line", "long line", "latin-1 text"])
def test_a_damaged_line(tmp_path, damage):
    file = write_csv(tmp_path / "visits.csv", GOOD)
    line = {
        "short line": b'"u","2026-01-01"\n',
        "long line": b'"x",' * 20 + b'"x"\n',
        "latin-1 text": b'"\xe9"' + b',"1"' * 12 + b"\n",
    }
    file.write_bytes(file.read_bytes() + line[damage])
    with pytest.raises(InputError, match=r"visits\.csv is not a CSV file in UTF-8"):
        read(file)


def test_every_column_and_rule_has_a_text():
    rules = (*CSV_RULES, *HISTORY_RULES)
    assert {name for rule in rules for name in rule.columns} == set(schema.VISITS_COLUMNS)
    assert all(rule.text and rule.remedy for rule in rules)


@pytest.mark.parametrize("newlines", [1, 3, 10])
def test_newlines_in_identifiers_are_told_wherever_blocks_end(tmp_path, newlines):
    file = write_csv(tmp_path / "visits.csv", GOOD.assign(user_id=GOOD.user_id + "\nx" * newlines))
    for block_bytes in (500, 700, 1100, 10**6):
        with pytest.raises(RuleError, match='"identifier"'):
            list(read_blocks([file], AS_OF, MANY_BYTES, block_bytes))


def test_a_row_that_is_longer_than_a_block_is_placed(tmp_path):
    frame = GOOD.assign(user_id=[*GOOD.user_id[:-1], "z" * 3_000_000])
    with pytest.raises(InputError) as caught:
        read(write_csv(tmp_path / "visits.csv", frame))
    assert caught.value.headline == "visits.csv has a row of more than 1,048,576 bytes."
    assert "user_id, which must have 1 to 256 characters" in caught.value.cause
