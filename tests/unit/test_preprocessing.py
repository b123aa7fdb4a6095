import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import joblib
import numpy as np
import pytest
from made_visits import AS_OF, assert_same_dataset, from_frame, made_frame, write_csv
from patience import patient

import visitcast
from visitcast import paths
from visitcast.__main__ import main
from visitcast.contract import run
from visitcast.data import dataset as ds
from visitcast.data import schema
from visitcast.data.manifest import read_manifest
from visitcast.data.protocol import split
from visitcast.errors import MESSAGE_LIMIT, InputError
from visitcast.features.pipeline import FeaturePipeline
from visitcast.preprocessing.settings import AS_OF as AS_OF_VARIABLE
from visitcast.preprocessing.settings import DEFAULT_MAX_INPUT_BYTES, MAX_INPUT_BYTES, read_settings

CONTAINERS = Path(visitcast.__file__).parents[1]
VISITS = made_frame(users=80, seed=11)


@pytest.fixture
def opt_ml(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setenv(AS_OF_VARIABLE, AS_OF.isoformat())
    monkeypatch.delenv(MAX_INPUT_BYTES, raising=False)
    return tmp_path


def run_job():
    """The job within this process: the libraries are loaded already."""
    return run(lambda: main(["preprocess"]))


def run_entry_point():
    """The image's entry point, as the processing job starts it."""
    return subprocess.run(
        [sys.executable, "-m", "visitcast", "preprocess"],
        cwd=CONTAINERS,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=patient(120),
        check=False,
    )


def test_visits_become_a_dataset(opt_ml):
    write_csv(paths.visits_input() / "visits.csv", VISITS)
    (paths.visits_input() / "visits.csv.metadata").write_bytes(b"\x00Athena's own")
    job = run_entry_point()
    assert job.returncode == 0, job.stderr
    assert job.stdout.splitlines()[0] == "progress=0.00 reading visits, files: 1"
    assert job.stdout.splitlines()[-1].startswith("progress=1.00 done: ")

    folder = paths.dataset_output()
    assert {file.name for file in folder.iterdir()} == {"manifest.json", "shard-00000.npz", "transformer.joblib"}
    dataset, manifest = ds.read(folder), read_manifest(folder)
    parts = split(dataset)
    assert dataset.user_ids[ds.user_of_row(dataset)].tolist() == VISITS[schema.USER_ID].tolist()
    assert manifest.counts.visit_days == dataset.visit_days == len(VISITS)
    assert manifest.counts.users == dataset.users == 80
    counts = (manifest.counts.train_rows, manifest.counts.validation_rows, manifest.counts.test_rows)
    assert counts == (len(parts.train), len(parts.validation), len(parts.test))
    cut_offs = [manifest.cut_offs.validation_starts, manifest.cut_offs.test_starts]
    assert np.array(cut_offs, dtype="datetime64[D]").astype(int).tolist() == [
        parts.validation_starts,
        parts.test_starts,
    ]
    assert manifest.as_of == AS_OF.isoformat()
    assert manifest.columns == list(schema.VISITS_COLUMNS)

    pipeline = joblib.load(folder / ds.TRANSFORMER_FILE)
    fitted_here = FeaturePipeline(before=parts.validation_starts).fit(dataset)
    np.testing.assert_array_equal(pipeline.transform(dataset), fitted_here.transform(dataset))
    assert manifest.feature_names == pipeline.get_feature_names_out().tolist()


def test_shards_of_users_give_the_dataset_of_one_file(opt_ml, tmp_path):
    number = VISITS.user_id.str[-1].astype(int)
    for shard in range(3):
        write_csv(paths.visits_input() / f"part-{shard}" / "visits.csv", VISITS[number % 3 == shard])
    assert run_job() == 0
    assert_same_dataset(ds.read(paths.dataset_output()), from_frame(VISITS))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.assign(first_visit_hour=24), "first_visit_hour must lie in 0..23"),
        (lambda frame: frame.iloc[:0], "found no visits"),
        (lambda frame: frame[frame.user_id == frame.user_id[0]].iloc[:9], "too few visit days"),
    ],
    ids=["a bad value", "no rows", "little data"],
)
def test_bad_visits_fail_the_job_with_a_message_and_write_nothing(opt_ml, capsys, change, words):
    write_csv(paths.visits_input() / "visits.csv", change(VISITS))
    paths.dataset_output().mkdir(parents=True)
    assert run_job() == 1
    assert "Traceback" in capsys.readouterr().err
    message = paths.message_file().read_text(encoding="utf-8")
    assert words in message
    assert len(message) <= MESSAGE_LIMIT
    assert paths.failure_file().read_text(encoding="utf-8") == message
    assert list(paths.dataset_output().iterdir()) == []
    assert list(paths.dataset_output().parent.iterdir()) == [paths.dataset_output()]


def test_a_missing_input_is_a_message_too(opt_ml):
    assert run_job() == 1
    assert "InputFilePath" in paths.message_file().read_text(encoding="utf-8")


def test_settings_have_defaults():
    before = datetime.now(UTC)
    settings = read_settings({AS_OF_VARIABLE: "", MAX_INPUT_BYTES: ""})
    assert before <= settings.as_of <= datetime.now(UTC)
    assert settings.max_input_bytes == DEFAULT_MAX_INPUT_BYTES


def test_instants_become_utc():
    settings = read_settings({AS_OF_VARIABLE: "2026-11-23T05:00:00+05:00", MAX_INPUT_BYTES: "10"})
    assert settings.as_of == datetime(2026, 11, 23, tzinfo=UTC)
    assert settings.as_of.isoformat().endswith("+00:00")
    assert settings.max_input_bytes == 10


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (AS_OF_VARIABLE, "yesterday"),
        (AS_OF_VARIABLE, "2026-11-23T00:00:00"),
        (MAX_INPUT_BYTES, "10 MB"),
        (MAX_INPUT_BYTES, "0"),
        (MAX_INPUT_BYTES, "-1"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(variable, value):
    with pytest.raises(InputError, match=variable):
        read_settings({variable: value})
