import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_visits import AS_OF, assert_same_dataset, from_frame, made_frame, write_csv, write_histories

from visitcast.data import histories, schema, visits_csv
from visitcast.data.dataset import concatenate
from visitcast.data.validation import ROWS_SHOWN, RuleError
from visitcast.errors import MESSAGE_LIMIT, InputError

GOOD = made_frame(users=8, seed=2)
INTEGERS = [column for column in schema.VISITS if column.kind == "integer"]


def read(*files, rows_per_block=histories.ROWS_PER_BLOCK):
    blocks = histories.read_blocks(files, AS_OF, rows_per_block)
    return concatenate(list(blocks))


def with_value(row, column, value):
    frame = GOOD.astype(object)
    frame.loc[row, column] = value
    return frame


def refused(file):
    with pytest.raises(InputError) as caught:
        read(file)
    assert len(str(caught.value)) <= MESSAGE_LIMIT
    return caught.value


@pytest.mark.parametrize("typed", [True, False], ids=["dates", "dates as text"])
def test_histories_give_the_dataset_of_the_csv(tmp_path, typed):
    assert_same_dataset(read(write_histories(tmp_path / "0_of_1", GOOD, typed)), from_frame(GOOD))


def test_visits_in_a_list_may_come_in_any_order(tmp_path):
    shuffled = GOOD.sample(frac=1, random_state=1).sort_values("user_id", kind="stable")
    assert not shuffled.visit_date.equals(GOOD.visit_date)
    assert_same_dataset(read(write_histories(tmp_path / "0", shuffled)), from_frame(GOOD))


@pytest.mark.parametrize("rows_per_block", [1, 30, 10**6])
def test_blocks_and_row_groups_do_not_matter(tmp_path, rows_per_block):
    file = write_histories(tmp_path / "0", GOOD)
    pq.write_table(pq.read_table(file), file, row_group_size=3)
    blocks = list(histories.read_blocks([file], AS_OF, rows_per_block))
    assert_same_dataset(concatenate(blocks), from_frame(GOOD))
    assert len(blocks) == {1: 8, 30: len(blocks), 10**6: 3}[rows_per_block]


@pytest.mark.parametrize("type_", [pa.int8(), pa.int16(), pa.int64(), pa.uint32(), pa.string()], ids=str)
def test_whole_numbers_may_have_any_width(tmp_path, type_):
    file = write_histories(tmp_path / "0", GOOD)
    table = pq.read_table(file)
    at = table.column_names.index("first_visit_hour")
    narrow = pa.array(table["first_visit_hour"].to_pylist(), pa.list_(pa.int64())).cast(pa.list_(type_))
    pq.write_table(table.set_column(at, "first_visit_hour", narrow), file)
    assert_same_dataset(read(file), from_frame(GOOD))


BAD = [
    *((column.name, None, "value present") for column in schema.VISITS[1:]),
    ("platform", " ", "value present"),
    ("first_visit_hour", 24, "range"),
    ("total_time_spent_s", -5, "range"),
    ("hourly_visits", 2**24, "range"),
    ("utc_offset_minutes", 900, "range"),
    ("total_page_views", 1000, "page types add up"),
    ("visit_date", "2026-11-25", "not in the future"),
]


@pytest.mark.parametrize(("column", "value", "rule"), BAD, ids=[f"{c}={v!r}" for c, v, _ in BAD])
def test_bad_values_are_named_as_in_a_csv(tmp_path, column, value, rule):
    row = len(GOOD) - 1
    frame = with_value(row, column, value)
    error = refused(write_histories(tmp_path / "0_of_1", frame))
    assert isinstance(error, RuleError)
    assert error.rule == rule
    in_csv = csv_error(tmp_path, frame)
    assert error.headline == in_csv.headline
    assert error.remedy == in_csv.remedy
    place = int((GOOD.user_id == GOOD.user_id[row]).sum())
    assert error.cause == in_csv.cause.replace(f"visits.csv line {row + 2}", f"0_of_1 row 8 visit {place}")


def csv_error(tmp_path, frame):
    with pytest.raises(RuleError) as caught:
        list(visits_csv.read_blocks([write_csv(tmp_path / "visits.csv", frame)], AS_OF, 10**8))
    return caught.value


def test_text_in_place_of_a_number_is_named_with_its_row(tmp_path):
    frame = GOOD.astype({column.name: str for column in INTEGERS})
    frame.loc[4, "total_page_views"] = "3.5"
    error = refused(write_histories(tmp_path / "0", frame))
    assert isinstance(error, RuleError)
    assert error.rule == "type"
    assert "total_page_views='3.5'" in error.cause


def test_many_bad_rows_show_as_the_first_five_and_say_that_more_may_follow(tmp_path):
    file = write_histories(tmp_path / "0", GOOD.assign(first_visit_hour=99))
    assert f"{len(GOOD):,} rows break it: " in refused(file).cause
    assert refused(file).cause.count("0 row ") == ROWS_SHOWN
    with pytest.raises(RuleError, match="in the part read so far"):
        read(file, rows_per_block=10)


def test_a_user_without_name(tmp_path):
    file = write_histories(tmp_path / "0", GOOD)
    table = pq.read_table(file)
    names = [None, *table["user_id"].to_pylist()[1:]]
    pq.write_table(table.set_column(0, "user_id", pa.array(names, pa.string())), file)
    error = refused(file)
    assert isinstance(error, RuleError)
    assert error.rule == "value present"
    assert "user_id=NULL" in error.cause


def test_a_repeated_day_in_a_history(tmp_path):
    error = refused(write_histories(tmp_path / "0", pd.concat([GOOD.iloc[:5], GOOD.iloc[4:]], ignore_index=True)))
    assert isinstance(error, RuleError)
    assert error.rule == "one row per user and day"


@pytest.mark.parametrize("where", ["same block", "another block", "another file"])
def test_a_user_twice(tmp_path, where):
    first = GOOD[GOOD.user_id == GOOD.user_id[0]]
    rest = write_histories(tmp_path / "1", GOOD)
    if where == "another file":
        files = [write_histories(tmp_path / "0", first.iloc[:1]), rest]
    else:
        pq.write_table(pa.concat_tables([pq.read_table(rest), pq.read_table(rest).slice(0, 1)]), rest)
        files = [rest]
    with pytest.raises(RuleError, match="one history per user") as caught:
        read(*files, rows_per_block=1 if where == "another block" else 10**6)
    assert f"user_id='{GOOD.user_id[0]}'" in caught.value.cause
    assert f"1 row {1 if where == 'another file' else 9} visit 1" in caught.value.cause


@pytest.mark.parametrize("change", ["one entry less", "no list", "no entries"])
def test_lists_of_unequal_length(tmp_path, change):
    file = write_histories(tmp_path / "0", GOOD)
    table = pq.read_table(file)
    for name in schema.VISITS_COLUMNS[1:] if change == "no entries" else ["last_visit_hour"]:
        lists = table[name].to_pylist()
        lists[2] = {"one entry less": lists[2][1:], "no list": None, "no entries": []}[change]
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array(lists, table[name].type))
    pq.write_table(table, file)
    assert "row 3: user_id='user-0002'" in refused(file).cause


@pytest.mark.parametrize("change", ["missing", "unknown", "fractions", "no lists"])
def test_other_columns_and_types(tmp_path, change):
    file = write_histories(tmp_path / "0_of_1", GOOD)
    table = pq.read_table(file)
    changed = {
        "missing": lambda: table.drop_columns(["platform"]),
        "unknown": lambda: table.append_column("bucket", pa.array(np.zeros(8))),
        "fractions": lambda: write_and_read(tmp_path, GOOD.assign(first_visit_hour=7.5)),
        "no lists": lambda: table.set_column(1, "visit_date", pa.array(["2026-11-01"] * 8)),
    }[change]()
    pq.write_table(changed, file)
    error = refused(file)
    assert "0_of_1" in error.headline
    words = {"missing": "platform", "unknown": "bucket", "fractions": "double", "no lists": "must be a list of date"}
    assert words[change] in error.cause


def write_and_read(tmp_path, frame):
    return pq.read_table(write_histories(tmp_path / "changed", frame))


@pytest.mark.parametrize("damage", ["cut off", "only the magic bytes"])
def test_a_damaged_file_is_named(tmp_path, damage):
    file = write_histories(tmp_path / "0_of_1", GOOD)
    file.write_bytes(file.read_bytes()[:-100] if damage == "cut off" else b"PAR1")
    assert histories.is_parquet(file)
    assert refused(file).headline.startswith("0_of_1 cannot be read as Parquet")


def test_files_without_rows(tmp_path):
    empty = write_histories(tmp_path / "0", GOOD)
    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    assert "found no visits" in refused(empty).headline
    assert_same_dataset(read(empty, write_histories(tmp_path / "1", GOOD)), from_frame(GOOD))
