"""The training image through its entry point: train, evaluate and serve, as SageMaker starts them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_visits import AS_OF, made_frame, write_csv

import training
from visitcast import schema
from visitcast.baselines import ARTICLE_GRU, GLOBAL_HISTOGRAM, LAST_HOUR, TUNED_HISTOGRAM, USER_HISTOGRAM
from visitcast.dataset import from_frame, with_target_days
from visitcast.forecasting import bundle, forecaster

CONTAINERS = Path(training.__file__).parents[1]
VISITS = made_frame(users=60, mean_days=25, seed=5)


def start(image: str, *arguments: str, root: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", image, *arguments],
        cwd=CONTAINERS,
        env={**os.environ, "OPT_ML_DIR": str(root), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("preprocessing")
    write_csv(root / "processing/input/visits/visits.csv", VISITS)
    code, _, err = finish(start("preprocessing", root=root, VISITCAST_AS_OF=AS_OF.isoformat()))
    assert code == 0, err
    return root / "processing/output/dataset"


def training_root(root: Path, dataset: Path, **hyperparameters: str) -> Path:
    shutil.copytree(dataset, root / "input/data/dataset")
    (root / "input/config").mkdir(parents=True)
    (root / "input/config/hyperparameters.json").write_text(json.dumps(hyperparameters))
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """Root folder of a finished training job."""
    root = training_root(tmp_path_factory.mktemp("training"), dataset, epochs="2", units="8")
    code, out, err = finish(start("training", "train", root=root))
    assert code == 0, err
    assert "epoch=1/2 train_loss=" in out
    assert "final_validation_log_loss=" in out
    assert "final_test_" not in out  # the protocol's test rows are for the evaluation alone
    return root


def test_an_unknown_hyperparameter_fails_with_the_known_ones(tmp_path: Path, dataset: Path) -> None:
    root = training_root(tmp_path, dataset, shoe_size="42")
    code, _, _ = finish(start("training", "train", root=root))
    assert code == 1
    failure = (root / "output/failure").read_text()
    assert "shoe_size" in failure
    assert "learning_rate" in failure
    assert not list(root.glob("model/*"))


@pytest.fixture(scope="module")
def fold(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """Root folder of the only fold's training job."""
    root = training_root(tmp_path_factory.mktemp("fold"), dataset, epochs="1", units="8", fold="1", folds="1")
    code, out, err = finish(start("training", "train", root=root))
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


@pytest.fixture(scope="module", params=[False, True], ids=["first run", "production and folds"])
def evaluated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[bool, Path]:
    """Whether there were production and folds, and the folder of evaluation.json and the report."""
    trained, dataset, fold = (request.getfixturevalue(name) for name in ("trained", "dataset", "fold"))
    root = tmp_path_factory.mktemp("evaluation")
    inputs = root / "processing/input"
    shutil.copytree(dataset, inputs / "dataset")
    pack(trained / "model", inputs / "model/model.tar.gz")
    arguments = ["evaluate", "--max-rmse-hours", "0.01", "--max-mae-hours", "none", "--must-beat", "global_histogram"]
    environment = {}
    if request.param:
        pack(trained / "model", inputs / "production/model.tar.gz")
        pack(fold / "output/data", inputs / "folds/visitcast-train-f1-0-a/output/output.tar.gz")
        arguments += ["--must-hold-in-cross-validation", "true", "--non-inferiority-margin", "0.005"]
        environment = {"VISITCAST_PRODUCTION_CONFIG": "old", "VISITCAST_FOLDS": "1"}
    code, _, err = finish(start("training", *arguments, root=root, **environment))
    assert code == 0, err
    return request.param, root / "processing/output/evaluation"


def test_evaluation_scores_model_and_baselines(evaluated: tuple[bool, Path]) -> None:
    with_production, folder = evaluated
    text = (folder / "evaluation.json").read_text()
    assert len(text) < 200_000
    evaluation = json.loads(text)
    assert set(evaluation["baselines"]) == {
        GLOBAL_HISTOGRAM,
        LAST_HOUR,
        USER_HISTOGRAM,
        TUNED_HISTOGRAM,
        ARTICLE_GRU,
    }
    assert evaluation["baselines"][LAST_HOUR]["log_loss"] is None
    assert 0 < evaluation["model"]["log_loss"] < np.log(24)
    assert set(evaluation["intervals"]) == set(evaluation["model"])
    assert set(evaluation["differences"]) == set(evaluation["baselines"])
    for groups in evaluation["groups"].values():
        assert sum(group["rows"] for group in groups) == evaluation["data"]["test_rows"]
    for bins in evaluation["reliability"].values():
        assert sum(one["rows"] for one in bins) == evaluation["data"]["test_rows"]
    gate = evaluation["gate"]
    assert (gate["passed"], gate["within_absolute_limits"], gate["beats_production"]) == (False, False, True)
    if with_production:
        # The same model against itself: the paired difference is nought, and that is not worse.
        difference = evaluation["production"]["log_loss_difference"]
        assert difference["mean"] == difference["low"] == difference["high"] == 0
        (fold,) = evaluation["cross_validation"]["folds"]
        assert evaluation["cross_validation"]["mean"] == fold["model"]
    else:
        assert evaluation["production"] is None
        assert evaluation["cross_validation"] is None


def test_evaluation_writes_a_report_that_names_no_user(evaluated: tuple[bool, Path], trained: Path) -> None:
    with_production, folder = evaluated
    page = (folder / "report.html").read_text()
    assert "Rejected: the endpoint stays as it is." in page
    assert ("endpoint configuration old" in page) is with_production
    assert ("1 of 1" in page) is with_production
    assert "Learning curves over 2 epochs" in page
    users = set(VISITS[schema.USER_ID])
    assert not [user for user in users if user in page]
    assert sorted(file.name for file in folder.iterdir()) == ["evaluation.json", "report.html"]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[str]:
    root = tmp_path_factory.mktemp("endpoint")
    shutil.copytree(trained / "model", root / "model")
    server = start("training", "serve", root=root, SAGEMAKER_BIND_TO_PORT="0")
    assert server.stdout is not None
    line = next(line for line in server.stdout if line.startswith("listening on port "))
    yield f"http://127.0.0.1:{line.split()[-1]}"
    server.terminate()
    server.communicate(timeout=30)
    assert server.returncode == 143


def post(endpoint: str, body: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(f"{endpoint}/invocations", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def user_request(history: pd.DataFrame, user_id: str) -> dict[str, Any]:
    visits = json.loads(history.drop(columns=[schema.USER_ID]).to_json(orient="records"))
    last = np.datetime64(visits[-1][schema.VISIT_DATE]) if visits else np.datetime64("2026-11-20")
    return {"user_id": user_id, "date": str(last + np.timedelta64(1, "D")), "visits": visits}


def test_ping(endpoint: str) -> None:
    with urllib.request.urlopen(f"{endpoint}/ping", timeout=10) as response:
        assert response.status == 200


def test_the_endpoint_answers_what_the_evaluation_would_have_scored(endpoint: str, trained: Path) -> None:
    longest = VISITS[schema.USER_ID].value_counts().index[:3]
    histories = {user: VISITS[VISITS[schema.USER_ID] == user] for user in sorted(longest)}
    users = [user_request(history, user) for user, history in histories.items()]
    status, answer = post(endpoint, json.dumps({"users": users}).encode())
    assert status == 200, answer

    dataset = from_frame(pd.concat(histories.values(), ignore_index=True))
    targets = np.array([np.datetime64(user["date"]).astype(int) for user in users], dtype=np.int32)
    extended = with_target_days(dataset, targets)
    expected = forecaster.forecast(bundle.load(trained / "model"), extended, extended.offsets[1:] - 1)
    for number, forecast in enumerate(answer["forecasts"]):
        assert forecast["user_id"] == users[number]["user_id"]
        assert forecast["source"] == "model"
        np.testing.assert_allclose(forecast["first_visit_hour"], expected.first_visit_hour[number], atol=1e-5)
        np.testing.assert_allclose(forecast["visit_hour"], expected.visit_hour[number], atol=1e-5)
        assert sum(forecast["first_visit_hour"]) == pytest.approx(1, abs=1e-5)


def test_a_new_user_gets_the_prior(endpoint: str) -> None:
    status, answer = post(endpoint, json.dumps({"users": [user_request(VISITS.head(0), "new")]}).encode())
    assert status == 200
    (forecast,) = answer["forecasts"]
    assert forecast["source"] == "prior"
    assert sum(forecast["first_visit_hour"]) == pytest.approx(1, abs=1e-5)


def changed(**changes: Any) -> bytes:
    user = user_request(VISITS[VISITS[schema.USER_ID] == VISITS[schema.USER_ID].iloc[0]], "a")
    visit = {name: value for name, value in changes.items() if name in schema.VISITS_COLUMNS}
    user |= {name: value for name, value in changes.items() if name not in schema.VISITS_COLUMNS}
    if visit:
        user["visits"][0] |= visit
    return json.dumps({"users": [user]}).encode()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"{", "body", id="no JSON"),
        pytest.param(b'{"users": []}', "users", id="no users"),
        pytest.param(b'{"users": [], "user": 1}', "user", id="unknown key"),
        pytest.param(changed(date="tomorrow"), "users[0].date", id="no date"),
        pytest.param(changed(date="2001-01-01"), "users[0]", id="date before the last visit"),
        pytest.param(changed(first_visit_hour=24), "users[0].visits.first_visit_hour", id="hour out of range"),
        pytest.param(changed(total_page_views="many"), "users[0].visits.total_page_views", id="wrong type"),
        pytest.param(changed(platform=None), "users[0].visits.platform", id="null"),
    ],
)
def test_a_bad_request_is_refused_by_field(endpoint: str, body: bytes, field: str) -> None:
    status, answer = post(endpoint, body)
    assert status == 400, answer
    assert answer["error"]["field"].startswith(field)
    assert answer["error"]["reason"]


def test_an_endpoint_without_a_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    code, _, _ = finish(start("training", "serve", root=tmp_path, SAGEMAKER_BIND_TO_PORT="0"))
    assert code == 1
    assert (tmp_path / "output/failure").read_text()
