"""The forecast workflow's containers: request lines, a batch transform of them, the plan."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from campaigns import CAMPAIGN
from container_endpoint import batch_variables, endpoint
from container_engine import Engine
from forecast_requests import VISITS
from made_visits import AS_OF, write_histories
from served_model import JSON_LINES

from visitcast.data import schema

VARIABLES = {
    "VISITCAST_FORECAST_DATE": "2026-11-24",
    "VISITCAST_AS_OF": AS_OF.isoformat(),
    "VISITCAST_USERS_PER_FILE": "25",
    "VISITCAST_ENVIRONMENT": "test",
}
INPUTS = ("histories", "known", "audience", "users", "answers", "reference", "outcomes", "campaign")


def job_folder(root: Path) -> Path:
    """Lay out the empty inputs of a job below what becomes its /opt/ml; returns the folder of the inputs."""
    for name in INPUTS:
        (root / "processing/input" / name).mkdir(parents=True)
    return root / "processing/input"


def test_histories_become_sends(
    engine: Engine, sending_image: str, serving_image: str, deployed_model: Path, tmp_path: Path
) -> None:
    inputs = job_folder(tmp_path / "requests")
    write_histories(inputs / "histories/part-0.parquet", VISITS)
    (inputs / "audience/audience.csv").write_text("user_id\nnew\n")
    code, printed = engine.run(sending_image, "requests", ml=tmp_path / "requests", **VARIABLES)
    assert code == 0, printed
    made = tmp_path / "requests/processing/output"
    files = sorted((made / "requests").iterdir())
    assert len(files) > 1

    inputs = job_folder(tmp_path / "plan")
    shutil.copy(made / "users/users.parquet", inputs / "users")
    (inputs / "campaign/campaign.json").write_text(json.dumps(CAMPAIGN))
    with (
        engine.private_network() as network,
        endpoint(engine, serving_image, deployed_model, network, **batch_variables()) as transform,
    ):
        for file in files:
            answer = transform.ask("/invocations", file.read_bytes(), JSON_LINES)
            assert answer.status == 200, answer.body
            (inputs / "answers" / f"{file.name}.out").write_bytes(answer.body)
    code, printed = engine.run(sending_image, "plan", ml=tmp_path / "plan", **VARIABLES)
    assert code == 0, printed

    done = tmp_path / "plan/processing/output"
    forecasts = pq.read_table(done / "forecasts").to_pandas().set_index("user_id")
    assert set(forecasts.index) == {*VISITS[schema.USER_ID], "new"}
    assert {"model", "prior"} <= set(forecasts.source)
    answers = [json.loads(line) for file in (inputs / "answers").iterdir() for line in file.read_text().splitlines()]
    for answered in answers:
        np.testing.assert_allclose(
            forecasts.first_visit_hour[answered["user_id"]], answered["first_visit_hour"], atol=1e-6
        )
    report = json.loads((done / "report/report.json").read_text())
    messages = [json.loads(line) for name in report["message_files"] for line in (done / "messages" / name).open()]
    assert {message["user_id"] for message in messages} == set(forecasts.index)
    assert len(messages) == report["sends"]["planned"] == len(forecasts)


def test_a_job_that_fails_says_why(engine: Engine, sending_image: str, tmp_path: Path) -> None:
    write_histories(job_folder(tmp_path) / "histories/part-0.parquet", VISITS)
    (tmp_path / "processing/input/audience/audience.csv").write_text("user_id\n")
    code, _ = engine.run(sending_image, "requests", ml=tmp_path, **VARIABLES | {"VISITCAST_USERS_PER_FILE": "many"})
    assert code == 1
    assert "not a positive number" in (tmp_path / "output/message").read_text()
    assert not list((tmp_path / "processing/output").rglob("*.jsonl"))
