"""The images as SageMaker runs them, from visits to an evaluation; one test a step, each on the step before."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from container_engine import Engine
from forecast_requests import VISITS
from made_visits import AS_OF, assert_same_dataset, from_frame, write_csv
from patience import patient
from training_folder import training_folder

from visitcast.data.dataset import read


def test_preprocessing_writes_the_visits_it_was_given(dataset: Path) -> None:
    assert_same_dataset(read(dataset), from_frame(VISITS))


def test_bad_visits_end_in_a_failure_that_names_the_column(
    engine: Engine, preprocessing_image: str, tmp_path: Path
) -> None:
    write_csv(tmp_path / "processing/input/visits/visits.csv", VISITS.assign(first_visit_hour=24))
    code, _ = engine.run(preprocessing_image, ml=tmp_path, VISITCAST_AS_OF=AS_OF.isoformat())
    assert code == 1
    assert "first_visit_hour" in (tmp_path / "output/failure").read_text()
    assert not list((tmp_path / "processing/output").rglob("*.npz"))


def test_evaluation_scores_the_model(
    engine: Engine, training_image: str, dataset: Path, model: Path, tmp_path: Path
) -> None:
    shutil.copytree(dataset, tmp_path / "processing/input/dataset")
    for channel in ("model", "production"):
        folder = tmp_path / "processing/input" / channel
        folder.mkdir(parents=True)
        shutil.copy(model, folder)
    code, printed = engine.run(training_image, "evaluate", ml=tmp_path, VISITCAST_PRODUCTION_VERSION="")
    assert code == 0, printed
    evaluation = json.loads((tmp_path / "processing/output/evaluation/evaluation.json").read_text())
    assert 0 < evaluation["model"]["log_loss"] < np.log(24)


def test_stopping_a_training_container_leaves_no_half_model(
    engine: Engine, training_image: str, dataset: Path, tmp_path: Path
) -> None:
    ml = training_folder(tmp_path, dataset, epochs="1000", patience="1000")
    name = engine.start(training_image, "train", ml=ml)
    deadline = time.monotonic() + patient(240)
    while "epoch=1/" not in engine("logs", name).stdout:  # SIGTERM shall come in the middle of the training
        assert time.monotonic() < deadline, engine("logs", name)
        time.sleep(0.5)
    engine.stop(name)
    code, printed = engine.wait(name)
    assert code == 143, printed  # 128 + SIGTERM: it ended by itself, 137 would mean that it was killed
    assert not list((ml / "model").rglob("*"))
    assert list((ml / "checkpoints").iterdir())


@pytest.mark.parametrize("package", ["tensorflow", "matplotlib"])
def test_the_preprocessing_image_holds_only_its_own_packages(
    engine: Engine, preprocessing_image: str, package: str
) -> None:
    done = engine(
        "run", "--rm", "--network=none", "--entrypoint", "python", preprocessing_image, "-c", f"import {package}"
    )
    assert "ModuleNotFoundError" in done.stderr
