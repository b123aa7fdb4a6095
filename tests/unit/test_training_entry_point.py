"""The training image through its entry point: train, evaluate and serve, as SageMaker starts them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from made_visits import AS_OF, made_frame, write_csv
from patience import patient
from training_folder import training_folder

import visitcast
from visitcast.data import schema
from visitcast.errors import InputError
from visitcast.model import bundle
from visitcast.model.baselines import ARTICLE_GRU, GLOBAL_HISTOGRAM, LAST_HOUR, TUNED_HISTOGRAM, USER_HISTOGRAM

CONTAINERS = Path(visitcast.__file__).parents[1]
VISITS = made_frame(users=60, mean_days=25, seed=5)


def start(*arguments: str, root: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "visitcast", *arguments],
        cwd=CONTAINERS,
        env={**os.environ, "OPT_ML_DIR": str(root), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=patient(240))
    return process.returncode, out, err


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("preprocessing")
    write_csv(root / "processing/input/visits/visits.csv", VISITS)
    code, _, err = finish(start("preprocess", root=root, VISITCAST_AS_OF=AS_OF.isoformat()))
    assert code == 0, err
    return root / "processing/output/dataset"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """Root folder of a finished training job."""
    root = training_folder(tmp_path_factory.mktemp("training"), dataset, epochs="2", units="8")
    code, out, err = finish(start("train", root=root))
    assert code == 0, err
    assert "epoch=1/2 train_loss=" in out
    assert "final_validation_log_loss=" in out
    assert "final_test_" not in out  # the protocol's test rows are for the evaluation alone
    return root


@pytest.mark.parametrize("entry", ["schema_version", "model_version"])
def test_a_model_of_another_version_is_refused(tmp_path: Path, trained: Path, entry: str) -> None:
    folder = shutil.copytree(trained / "model", tmp_path / "model")
    content = json.loads((folder / bundle.MODEL_FILE).read_text())
    (folder / bundle.MODEL_FILE).write_text(json.dumps(content | {entry: content[entry] - 1}))
    with pytest.raises(InputError, match="another version"):
        bundle.load(folder)


def test_an_unknown_hyperparameter_fails_with_the_known_ones(tmp_path: Path, dataset: Path) -> None:
    root = training_folder(tmp_path, dataset, shoe_size="42")
    code, _, _ = finish(start("train", root=root))
    assert code == 1
    failure = (root / "output/failure").read_text()
    assert "shoe_size" in failure
    assert "learning_rate" in failure
    assert not list(root.glob("model/*"))


@pytest.fixture(scope="module")
def fold(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """Root folder of the only fold's training job."""
    root = training_folder(tmp_path_factory.mktemp("fold"), dataset, epochs="1", units="8", fold="1", folds="1")
    code, out, err = finish(start("train", root=root))
    assert code == 0, err
    for metric in ("log_loss", "mae_hours", "rmse_hours", "best_hour_hit_rate"):
        assert f"final_test_{metric}=" in out
    return root


def pack(folder: Path, archive: Path) -> None:
    """What SageMaker makes of a job's folder."""
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=".")


def test_a_fold_leaves_its_scores_and_the_baselines(fold: Path) -> None:
    left = json.loads((fold / "output/data/fold.json").read_text())
    assert (left["fold"], left["folds"]) == (1, 1)
    assert 0 < left["model"]["log_loss"] < np.log(24)
    assert {GLOBAL_HISTOGRAM, TUNED_HISTOGRAM} < set(left["baselines"])


def of_an_earlier_release(model: Path, folder: Path) -> Path:
    """Copy a model and lower its version."""
    shutil.copytree(model, folder)
    file = folder / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_version": 0}))
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["unreadable production", "production and folds"])
def evaluated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[bool, Path]:
    """Whether there were folds and a production model that can be read, and the folder of what was written."""
    trained, dataset, fold = (request.getfixturevalue(name) for name in ("trained", "dataset", "fold"))
    root = tmp_path_factory.mktemp("evaluation")
    inputs = root / "processing/input"
    shutil.copytree(dataset, inputs / "dataset")
    pack(trained / "model", inputs / "model/model.tar.gz")
    arguments = ["evaluate", "--max-mae-hours", "none"]
    environment = {"VISITCAST_PRODUCTION_VERSION": "3"}
    if not request.param:
        pack(of_an_earlier_release(trained / "model", root / "earlier"), inputs / "production/model.tar.gz")
        arguments += ["--max-rmse-hours", "none", "--must-beat", "none", "--non-inferiority-margin", "1"]
    else:
        pack(trained / "model", inputs / "production/model.tar.gz")
        pack(fold / "output/data", inputs / "folds/visitcast-train-f1-0-a/output/output.tar.gz")
        arguments += ["--max-rmse-hours", "0.01", "--must-beat", "global_histogram"]
        arguments += ["--must-hold-in-cross-validation", "true", "--non-inferiority-margin", "0.005"]
        arguments += ["--article-model-epochs", "1"]
        environment["VISITCAST_FOLDS"] = "1"
    code, _, err = finish(start(*arguments, root=root, **environment))
    assert code == 0, err
    return request.param, root / "processing/output/evaluation"


def test_evaluation_scores_model_and_baselines(evaluated: tuple[bool, Path]) -> None:
    with_production, folder = evaluated
    text = (folder / "evaluation.json").read_text()
    assert len(text) < 200_000
    evaluation = json.loads(text)
    article = {ARTICLE_GRU} if with_production else set()
    assert set(evaluation["baselines"]) == {GLOBAL_HISTOGRAM, LAST_HOUR, USER_HISTOGRAM, TUNED_HISTOGRAM} | article
    assert evaluation["baselines"][LAST_HOUR]["log_loss"] is None
    assert 0 < evaluation["model"]["log_loss"] < np.log(24)
    assert set(evaluation["intervals"]) == set(evaluation["model"])
    assert set(evaluation["differences"]) == set(evaluation["baselines"])
    as_sent = evaluation["as_sent"]
    assert set(evaluation["model"]) < set(as_sent)
    assert set(as_sent["baselines"]) == set(as_sent["differences"]) == set(evaluation["baselines"])
    assert as_sent["log_loss"] != evaluation["model"]["log_loss"]  # the eve is not over
    difference = as_sent["whole_history_difference"]["log_loss"]["mean"]
    np.testing.assert_allclose(difference, as_sent["log_loss"] - evaluation["model"]["log_loss"])
    assert as_sent["known_users"]["rows"] > evaluation["data"]["test_rows"]  # also second and third visit days
    for groups in evaluation["groups"].values():
        assert sum(group["rows"] for group in groups) == evaluation["data"]["test_rows"]
    for bins in evaluation["reliability"].values():
        assert sum(one["rows"] for one in bins) == evaluation["data"]["test_rows"]
    gate = evaluation["gate"]
    verdict = gate["passed"], gate["within_absolute_limits"], gate["beats_production"]
    if with_production:
        assert verdict == (False, False, True)
        # The same model against itself: the paired difference is zero, and that is not worse.
        assert evaluation["production"]["rows"] == evaluation["data"]["test_rows"]
        difference = evaluation["production"]["log_loss_difference"]
        assert difference["mean"] == difference["low"] == difference["high"] == 0
        (fold,) = evaluation["cross_validation"]["folds"]
        assert evaluation["cross_validation"]["mean"] == fold["model"]
    else:
        # A model of an earlier release fails nothing: the gate says that it was not compared, and what decides.
        assert verdict == (True, True, True)
        assert "Version 3 in production cannot be compared" in gate["reasons"][0]
        assert any("against tuned_histogram's" in reason for reason in gate["reasons"])  # it stands in, unasked
        assert evaluation["production"] is None
        assert evaluation["cross_validation"] is None


def test_evaluation_writes_a_report_that_names_no_user(evaluated: tuple[bool, Path], trained: Path) -> None:
    with_production, folder = evaluated
    page = (folder / "report.html").read_text()
    assert ("The endpoint stays as it is." in page) is with_production
    assert ("production model is version 3" in page) is with_production
    assert ("Version 3 in production cannot be compared" in page) is not with_production
    assert ("1 of 1" in page) is with_production
    assert "Validation log loss over 2 epochs" in page
    users = set(VISITS[schema.USER_ID])
    assert not [user for user in users if user in page]
    assert sorted(file.name for file in folder.iterdir()) == ["evaluation.json", "report.html"]
