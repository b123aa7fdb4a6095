"""However the visits are parted into files, blocks, shards and instances: the same dataset and the same transformer."""

import json
from dataclasses import replace

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import AS_OF, assert_same_dataset, from_frame, made_frame, write_csv, write_histories

from visitcast import paths
from visitcast.__main__ import main
from visitcast.contract import run
from visitcast.data import histories, visits_csv
from visitcast.data.dataset import TRANSFORMER_FILE, read
from visitcast.data.manifest import read_manifest
from visitcast.data.protocol import split
from visitcast.data.validation import RuleError
from visitcast.errors import InputError
from visitcast.features.pipeline import FeaturePipeline
from visitcast.preprocessing.combine import complete
from visitcast.preprocessing.part import build, read_parts, write_part
from visitcast.preprocessing.settings import AS_OF as AS_OF_VARIABLE

VISITS = made_frame(users=24, mean_days=14, seed=5)
DATASET = from_frame(VISITS)
USERS = VISITS.user_id.unique()
WRITERS = {"csv": write_csv, "histories": write_histories}


def assert_same_fit(one, other):
    """Counts are equal; means and deviations agree within 1e-12 of their size."""
    assert one.before == other.before
    assert one.encoding_.scaling.keys() == other.encoding_.scaling.keys()
    for name, moments in other.encoding_.scaling.items():
        assert one.encoding_.scaling[name] == pytest.approx(moments, rel=1e-12, abs=0)
    np.testing.assert_array_equal(one.encoding_.first_hour_shares, other.encoding_.first_hour_shares)
    np.testing.assert_array_equal(one.encoding_.visited_shares, other.encoding_.visited_shares)


def blocks_of(kind, files, size):
    if kind == "csv":
        return visits_csv.read_blocks(files, AS_OF, 10**8, block_bytes=max(500, 20 * size))
    return histories.read_blocks(files, AS_OF, rows_per_block=size)


@given(
    kind=st.sampled_from(sorted(WRITERS)),
    file_of_user=st.lists(st.integers(0, 5), min_size=len(USERS), max_size=len(USERS)),
    instance_of_file=st.lists(st.integers(1, 3), min_size=6, max_size=6),
    block_size=st.sampled_from([50, 100, 1000, 10**6]),
    rows_per_shard=st.sampled_from([1, 40, 10**6]),
)
@settings(max_examples=20, deadline=None)
def test_the_same_dataset_however_it_is_parted(
    tmp_path_factory, kind, file_of_user, instance_of_file, block_size, rows_per_shard
):
    folder = tmp_path_factory.mktemp("parted")
    dataset = folder / "dataset"
    dataset.mkdir()
    file_of_visit = VISITS.user_id.map(dict(zip(USERS, file_of_user, strict=True)))
    for instance in (1, 2, 3):
        files = [
            WRITERS[kind](folder / f"{instance}" / f"{number}.csv", VISITS[file_of_visit == number])
            for number in sorted(set(file_of_user))
            if instance_of_file[number] == instance
        ]
        blocks = blocks_of(kind, files, block_size) if files else iter(())
        write_part(dataset, build(blocks, dataset, AS_OF.isoformat(), instance, 3, rows_per_shard))
    complete(dataset, read_parts(dataset))

    assert_same_dataset(read(dataset), DATASET)
    parts = split(DATASET)
    manifest = read_manifest(dataset)
    assert manifest.counts.users == len(USERS)
    assert manifest.counts.visit_days == len(VISITS)
    rows = (manifest.counts.train_rows, manifest.counts.validation_rows, manifest.counts.test_rows)
    assert rows == (len(parts.train), len(parts.validation), len(parts.test))
    assert manifest.cut_offs.validation_starts == str(np.datetime64(parts.validation_starts, "D"))
    assert manifest.cut_offs.test_starts == str(np.datetime64(parts.test_starts, "D"))
    fitted = joblib.load(dataset / TRANSFORMER_FILE)
    assert_same_fit(fitted, FeaturePipeline(parts.validation_starts).fit(DATASET))


@pytest.fixture
def instance(tmp_path, monkeypatch):
    """Run the job on one of two instances, or `combine`, each with a folder of its own."""
    monkeypatch.setenv(AS_OF_VARIABLE, AS_OF.isoformat())

    def start(name, command="preprocess", hosts=("algo-1", "algo-2")):
        monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path / name))
        if command == "preprocess":
            paths.resource_config().parent.mkdir(parents=True, exist_ok=True)
            paths.resource_config().write_text(json.dumps({"current_host": name, "hosts": hosts}))
        status = run(lambda: main([command]))
        message = paths.message_file().read_text() if status else ""
        return paths.dataset_output(), status, message

    return start


def test_two_instances_and_combine_give_what_one_gives(tmp_path, instance):
    inputs = {name: tmp_path / name / "processing" / "input" / "visits" for name in ("algo-1", "algo-2", "alone")}
    for number, user in enumerate(USERS):
        for name in (f"algo-{1 + number % 2}", "alone"):
            write_histories(inputs[name] / f"bucket={number % 4}" / f"{number}_of_24", VISITS[VISITS.user_id == user])
    parts = tmp_path / "combine" / "processing" / "input" / "parts"
    parts.mkdir(parents=True)
    for name in ("algo-1", "algo-2"):
        output, status, _ = instance(name)
        assert status == 0
        number = name[-1]
        assert {file.name for file in output.iterdir()} == {
            f"shard-{number}-00000.npz",
            f"part-{number}.json",
            f"part-{number}.npz",
        }
        for file in output.iterdir():
            file.rename(parts / file.name)
    combined, status, _ = instance("combine", "combine")
    assert status == 0
    assert {file.name for file in combined.iterdir()} == {"manifest.json", "transformer.joblib"}
    alone, status, _ = instance("alone", hosts=["algo-1"])
    assert status == 0

    # All three jobs write under the same prefix.
    for file in combined.iterdir():
        file.rename(parts / file.name)
    assert_same_dataset(read(parts), read(alone))
    one, two = read_manifest(alone), read_manifest(parts)
    assert replace(two, created_at=one.created_at, shards=one.shards) == one
    assert_same_fit(joblib.load(parts / TRANSFORMER_FILE), joblib.load(alone / TRANSFORMER_FILE))


def test_an_instance_without_files_leaves_an_empty_part(instance):
    output, status, _ = instance("algo-2")
    assert status == 0
    assert {file.name for file in output.iterdir()} == {"part-2.json", "part-2.npz"}


def test_the_only_instance_needs_files(instance):
    _, status, message = instance("algo-1", hosts=["algo-1"])
    assert status == 1
    assert "InputFilePath" in message


def test_csv_and_parquet_together_are_refused(tmp_path, instance):
    folder = tmp_path / "algo-1" / "processing" / "input" / "visits"
    write_csv(folder / "visits.csv", VISITS)
    write_histories(folder / "bucket=0" / "0_of_1", VISITS)
    output, status, message = instance("algo-1")
    assert status == 1
    assert "CSV and Parquet" in message
    assert not output.exists()


def test_hosts_without_numbers_are_refused(instance):
    _, status, message = instance("algo-1", hosts=["algo-1", "zeus"])
    assert status == 1
    assert "zeus" in message


def test_an_unknown_job_is_refused(instance):
    _, status, message = instance("combine", "merge")
    assert status == 1
    assert "merge" in message


def made_part(folder, frame, instance, instances=2):
    file = write_histories(folder / f"input-{instance}", frame)
    return build(histories.read_blocks([file], AS_OF), folder, AS_OF.isoformat(), instance, instances)


def test_a_user_on_two_instances_is_found_by_combine(tmp_path):
    half = len(USERS) // 2
    parts = [
        made_part(tmp_path, VISITS[VISITS.user_id.isin(USERS[: half + 1])], 1),
        made_part(tmp_path, VISITS[VISITS.user_id.isin(USERS[half:])], 2),
    ]
    with pytest.raises(InputError, match="one file per user") as caught:
        complete(tmp_path, parts)
    assert "1 users are in two: shard-2-00000.npz user 1." in caught.value.cause
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize("found", [[], [1], [2], [1, 1]], ids=str)
def test_every_instance_must_have_left_its_part(tmp_path, found):
    part = made_part(tmp_path, VISITS, 1)
    for number, number_of_instance in enumerate(found):
        folder = tmp_path / "parts" / str(number)
        folder.mkdir(parents=True)
        write_part(folder, replace(part, instance=number_of_instance))
    if found:
        with pytest.raises(InputError, match="Not every preprocessing instance"):
            read_parts(tmp_path / "parts")
    else:
        with pytest.raises(InputError, match="found: none"):
            read_parts(tmp_path / "parts")


def test_parts_may_arrive_under_shorter_names(tmp_path):
    """A channel of the keys that begin with ``part-`` may name its files by what follows."""
    part = made_part(tmp_path, VISITS, 1, instances=1)
    (tmp_path / "parts").mkdir()
    write_part(tmp_path / "parts", part)
    for file in list((tmp_path / "parts").iterdir()):
        file.rename(file.with_name(file.name.removeprefix("part-")))
    (read,) = read_parts(tmp_path / "parts")
    assert read.shards == part.shards
    assert read.user_hashes.tolist() == part.user_hashes.tolist()


def test_instances_without_any_visit(tmp_path):
    parts = [build(iter(()), tmp_path, AS_OF.isoformat(), number, 2) for number in (1, 2)]
    with pytest.raises(InputError, match="found no visits"):
        complete(tmp_path, parts)


@pytest.mark.parametrize("damage", ["another version", "no arrays", "cut off"])
def test_a_part_that_cannot_be_used_is_named(tmp_path, damage):
    write_part(tmp_path, made_part(tmp_path, VISITS, 1, instances=1))
    described, arrays = tmp_path / "part-1.json", tmp_path / "part-1.npz"
    if damage == "another version":
        described.write_text(json.dumps({**json.loads(described.read_text()), "schema_version": 99}))
    elif damage == "no arrays":
        arrays.unlink()
    else:
        arrays.write_bytes(arrays.read_bytes()[:200])
    with pytest.raises(InputError, match=r"part-1\.json"):
        read_parts(tmp_path)


@given(st.integers(500, 4000), st.integers(1, len(VISITS) - 1), st.integers(1, len(VISITS) - 1))
@settings(max_examples=20, deadline=None)
def test_an_unsorted_csv_is_found_wherever_its_blocks_end(tmp_path_factory, block_bytes, one, other):
    order = np.arange(len(VISITS))
    order[[one, other]] = order[[other, one]]
    file = write_csv(tmp_path_factory.mktemp("csv") / "visits.csv", VISITS.iloc[order])
    blocks = visits_csv.read_blocks([file], AS_OF, 10**8, block_bytes)
    if one == other:
        assert sum(block.visit_days for block in blocks) == len(VISITS)
    else:
        with pytest.raises(RuleError, match='"sorted"'):
            list(blocks)


@pytest.mark.parametrize("block_bytes", [500, 10**6])
def test_line_numbers_count_on_across_blocks(tmp_path, block_bytes):
    row = len(VISITS) - 2
    frame = VISITS.astype(object)
    frame.loc[row, "first_visit_hour"] = 24
    file = write_csv(tmp_path / "visits.csv", frame)
    with pytest.raises(RuleError, match=f"visits.csv line {row + 2}: "):
        list(visits_csv.read_blocks([file], AS_OF, 10**8, block_bytes))


def test_a_user_in_two_csv_files_is_found_across_blocks(tmp_path):
    last_of_somebody = VISITS.user_id.duplicated().to_numpy().nonzero()[0][-1]
    files = [
        write_csv(tmp_path / "0.csv", VISITS.drop(last_of_somebody)),
        write_csv(tmp_path / "1.csv", VISITS.iloc[[last_of_somebody]]),
    ]
    with pytest.raises(RuleError, match=r"one file per user(.|\n)*1\.csv line 2"):
        list(visits_csv.read_blocks(files, AS_OF, 10**8, block_bytes=500))
