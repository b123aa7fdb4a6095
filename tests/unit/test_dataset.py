import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import AS_OF, assert_same_dataset, datasets, history_of, made_dataset, made_frame

from visitcast.data import dataset as ds
from visitcast.data import schema
from visitcast.data.manifest import Counts, CutOffs, Manifest, Shard, read_manifest, write_manifest
from visitcast.data.visits import read_visits
from visitcast.errors import InputError


def manifest(shards: list[Shard]) -> Manifest:
    return Manifest(
        created_at="2026-11-23T00:00:00+00:00",
        as_of="2026-11-23T00:00:00+00:00",
        columns=list(schema.VISITS_COLUMNS),
        feature_names=["a"],
        shards=shards,
        counts=Counts(users=1, visit_days=2, train_rows=3, validation_rows=4, test_rows=5),
        cut_offs=CutOffs("2026-01-01", "2026-02-01"),
        versions={"numpy": np.__version__},
    )


def test_the_columns_are_those_of_the_schema_in_its_types():
    frame = made_frame(users=12)
    dataset = read_visits(frame.sample(frac=1, random_state=1), AS_OF)
    assert list(dataset.columns) == [column.name for column in schema.DAY_COLUMNS]
    for column in schema.DAY_COLUMNS:
        assert getattr(dataset, column.name) is dataset.columns[column.name]
        assert dataset.columns[column.name].dtype == column.dtype
        if column.kind == "integer":
            assert dataset.columns[column.name].tolist() == frame[column.name].tolist()
    assert dataset.user_ids[ds.user_of_row(dataset)].tolist() == frame[schema.USER_ID].tolist()
    assert dataset.visit_date.astype("datetime64[D]").astype(str).tolist() == frame[schema.VISIT_DATE].tolist()
    assert [schema.PLATFORMS[code] for code in dataset.platform] == frame[schema.PLATFORM].tolist()


def test_a_column_that_the_schema_does_not_name_is_an_error():
    with pytest.raises(AttributeError, match="no column 'shoe_size'"):
        _ = made_dataset(users=1).shoe_size


@pytest.mark.parametrize(
    ("name", "code"), [("ios", 0), (" iOS ", 0), ("ios\0", 0), ("web", 2), ("other", 3), ("smart-fridge", 3)], ids=repr
)
def test_platform_codes(name, code):
    assert ds.platform_codes(np.array([name], dtype=object)).tolist() == [code]
    assert ds.platform_code(name) == code


@given(datasets())
@settings(max_examples=30, deadline=None)
def test_positions_and_gaps_as_a_plain_loop_counts_them(dataset):
    positions, gaps = [], []
    for user in range(dataset.users):
        dates = dataset.visit_date[dataset.offsets[user] : dataset.offsets[user + 1]].tolist()
        positions += range(len(dates))
        gaps += [0] + [after - before for before, after in itertools.pairwise(dates)]
    assert ds.position_in_history(dataset).tolist() == positions
    assert ds.days_since_last_visit(dataset).tolist() == gaps


@given(datasets(), st.data())
@settings(max_examples=30, deadline=None)
def test_positions_and_gaps_of_some_rows_are_those_of_all(dataset, data):
    rows = np.array(data.draw(st.lists(st.integers(0, dataset.visit_days - 1), min_size=1)))
    assert ds.position_in_history(dataset, rows).tolist() == ds.position_in_history(dataset)[rows].tolist()
    assert ds.days_since_last_visit(dataset, rows).tolist() == ds.days_since_last_visit(dataset)[rows].tolist()


def test_users_without_visits_do_not_shift_the_positions_of_the_others():
    some = made_dataset(users=2)
    dataset = replace(some, user_ids=np.array(list("abcd")), offsets=np.insert(some.offsets, [0, 1], some.offsets[:2]))
    assert np.flatnonzero(np.diff(dataset.offsets) == 0).tolist() == [0, 2]
    rows = np.arange(dataset.visit_days)
    assert ds.position_in_history(dataset, rows).tolist() == ds.position_in_history(dataset).tolist()


@given(st.lists(st.integers(0, 2**24 - 1), min_size=1))
def test_hour_flags_are_the_bits_of_the_mask(masks):
    flags = ds.hour_flags(np.array(masks, dtype=np.int32))
    assert flags.tolist() == [[float(f"{mask:024b}"[23 - hour]) for hour in range(24)] for mask in masks]


@given(datasets(max_users=8), st.data())
@settings(max_examples=30, deadline=None)
def test_a_dataset_reads_back_the_same_however_its_users_are_sharded(tmp_path_factory, dataset, data):
    folder = tmp_path_factory.mktemp("dataset")
    order = np.array(data.draw(st.permutations(range(dataset.users))))
    cuts = data.draw(st.sets(st.integers(1, dataset.users - 1)) if dataset.users > 1 else st.just(set()))
    shards = [
        ds.write_shard(folder, f"shard-{number}.npz", ds.select_users(dataset, users))
        for number, users in enumerate(np.split(order, sorted(cuts)))
    ]
    write_manifest(folder, manifest(shards))
    assert_same_dataset(ds.read(folder), dataset)


def test_a_manifest_reads_back_the_same(tmp_path):
    written = manifest([Shard("shard-00000.npz", 1, 2)])
    write_manifest(tmp_path, written)
    assert read_manifest(tmp_path) == written


def test_a_folder_without_manifest_is_no_dataset(tmp_path):
    with pytest.raises(InputError, match=r"manifest\.json is missing"):
        ds.read(tmp_path)


def test_another_schema_version_is_refused(tmp_path):
    write_manifest(tmp_path, manifest([]))
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema_version": 99}))
    with pytest.raises(InputError, match="says 99"):
        ds.read(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "cut off", "not an archive"])
def test_a_damaged_shard_is_named(tmp_path, damage):
    shard = ds.write_shard(tmp_path, "shard-00000.npz", made_dataset(users=3))
    write_manifest(tmp_path, manifest([shard]))
    file = tmp_path / shard.file
    if damage == "missing":
        file.unlink()
    elif damage == "cut off":
        file.write_bytes(file.read_bytes()[:500])
    else:
        file.write_text("hello")
    with pytest.raises(InputError, match=shard.file):
        ds.read(tmp_path)


def test_a_shard_of_another_dataset_is_noticed(tmp_path):
    shard = ds.write_shard(tmp_path, "shard-00000.npz", made_dataset(users=3))
    write_manifest(tmp_path, manifest([Shard(shard.file, shard.users + 1, shard.visit_days)]))
    with pytest.raises(InputError, match="the manifest says 4"):
        ds.read(tmp_path)


@given(datasets(), st.integers(1, 400))
@settings(max_examples=30, deadline=None)
def test_target_days_come_last_and_leave_the_history_alone(dataset, ahead):
    last = dataset.visit_date[dataset.offsets[1:] - 1]
    longer = ds.with_target_days(dataset, last + ahead)
    targets = longer.offsets[1:] - 1
    assert longer.visit_date[targets].tolist() == (last + ahead).tolist()
    assert longer.hourly_visits[targets].tolist() == [0] * dataset.users
    assert np.diff(longer.offsets).tolist() == (np.diff(dataset.offsets) + 1).tolist()
    for name, values in dataset.columns.items():
        np.testing.assert_array_equal(np.delete(longer.columns[name], targets), values)


def test_a_user_without_history_can_have_a_target_day():
    empty = history_of(made_dataset(users=1), user=0, days=0)
    assert ds.with_target_days(empty, [20000]).visit_date.tolist() == [20000]


def test_a_target_day_among_the_visits_is_refused():
    dataset = made_dataset(users=2)
    with pytest.raises(InputError, match="user-0001"):
        ds.with_target_days(dataset, dataset.visit_date[dataset.offsets[1:] - 1] + np.array([1, 0]))


def test_selected_users_keep_their_rows():
    dataset = made_dataset(users=9)
    chosen = ds.select_users(dataset, np.array([2, 5]))
    assert_same_dataset(
        chosen, ds.concatenate([ds.select_users(dataset, slice(2, 3)), ds.select_users(dataset, slice(5, 6))])
    )
    assert chosen.user_ids.tolist() == ["user-0002", "user-0005"]
    rows = np.r_[dataset.offsets[2] : dataset.offsets[3], dataset.offsets[5] : dataset.offsets[6]]
    assert chosen.visit_date.tolist() == dataset.visit_date[rows].tolist()
