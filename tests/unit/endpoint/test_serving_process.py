"""The serving image's process: its end, its log, its start without a model, and what it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from forecast_requests import (
    VISITS,
    all_users,
    changed,
    longest,
)
from served_model import CONTAINERS, Server, running, user_request


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_lets_requests_in_flight_finish(root: Path, workers: str) -> None:
    body = json.dumps({"users": all_users()}).encode()
    with running(root, SAGEMAKER_MODEL_SERVER_WORKERS=workers) as served:
        small, large = served.begin(changed()), served.begin(body)
        served.terminate()
        assert small.finish().status == 200
        assert large.finish().status == 200
        code, err = served.stop()
    assert (code, err) == (143, "stopped by SIGTERM\n")


def test_every_invocation_is_a_line_with_metrics(root: Path) -> None:
    with running(root) as served:
        served.ask("GET", "/ping")
        served.post({"users": [longest(), user_request(VISITS.head(0), "new")]})
        served.post(b"{")
        good, bad = served.next_event("invocation"), served.next_event("invocation")
    for event in (good, bad):
        (directive,) = event["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "visitcast"
        assert {metric["Name"] for metric in directive["Metrics"]} <= set(event)
        assert set(directive["Dimensions"][0]) <= set(event)
        assert event["Latency"] > 0
    assert (good["status"], good["Users"], good["PriorUsers"], good["Errors"]) == (200, 2, 1, 0)
    assert (bad["status"], bad["field"], bad["Errors"]) == (400, "body", 1)


def test_an_endpoint_without_a_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(AssertionError, match="This folder holds no model"):
        Server(tmp_path)
    assert "holds no model" in (tmp_path / "output/failure").read_text()


def test_the_server_needs_neither_tensorflow_nor_scikit_learn_nor_pandas() -> None:
    code = "import visitcast.serving.server, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=CONTAINERS, capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "keras", "sklearn", "scipy", "pandas", "pyarrow", "joblib", "training", "preprocessing"}
    assert not heavy & set(loaded.stdout.split())
