"""A model that was saved and loaded forecasts as before."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from made_visits import made_dataset

from benchmarks.random_model import write_model
from visitcast.errors import InputError
from visitcast.forecasting.frame import forecast
from visitcast.model.archive import load, save

VISITS = made_dataset(users=12, mean_days=15)


def test_folders_and_archives_hold_the_same_model(tmp_path: Path) -> None:
    model = write_model(tmp_path / "made", VISITS)
    save(model, tmp_path / "saved")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "saved", arcname=".")
    expected = forecast(model, VISITS, "2026-11-24")
    for path in (tmp_path / "saved", str(tmp_path / "saved"), tmp_path / "model.tar.gz"):
        made = forecast(load(path), VISITS, "2026-11-24")
        np.testing.assert_array_equal(np.stack(made.visit_hour), np.stack(expected.visit_hour))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    model = write_model(tmp_path / "made", VISITS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        save(model, tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["nowhere", "empty", "visits.csv"])
def test_what_holds_no_model_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "visits.csv").write_text("user_id\n")
    with pytest.raises(InputError):
        load(tmp_path / name)
