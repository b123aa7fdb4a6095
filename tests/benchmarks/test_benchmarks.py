"""The benchmarks at small sizes: whether they run and compare like with like. Their figures mean nothing here."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import patient

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        pytest.param("preprocessing", {"largest difference", "visitcast against pandas"}, id="preprocessing"),
        pytest.param(
            "forecast", {"requests: time", "transform: time", "plan: peak memory", "whole: time"}, id="forecast"
        ),
        pytest.param("storage", {"an event", "a visit day"}, id="storage"),
        pytest.param("events", {"data report", "peak memory of the cut"}, id="events"),
        pytest.param("simulated", {"model - this learner"}, id="simulated"),
        pytest.param(
            "history",
            {
                "whole history: log loss",
                "last 25 visit days: visit days read a row",
                "last 90 calendar days: log loss - whole history's",
            },
            id="history",
        ),
        pytest.param(
            "sends",
            {"visits in the hour: expected / realised", "sends to 20% by chance alone: share of all visits"},
            id="sends",
        ),
        pytest.param(
            "lift",
            {"interval of all looks covers at every look", "5% of the pushes lost: check rings"},
            id="lift",
        ),
        pytest.param(
            "feedback",
            {
                "first-visit hour: log loss added, last 5 of 10 rounds",
                "coming: log loss added, last 1 of 10 rounds, 97.5%",
            },
            id="feedback",
        ),
        pytest.param("policy", {"by_response / best_hour", "says: not enough sends"}, id="policy"),
        pytest.param("what-if", {"9 to 21: shown after", "9 to 21: the run's own plan"}, id="what-if"),
        pytest.param("zones", {"right by the last visit", "zone inferred: right"}, id="zones"),
        pytest.param("interruptions", {"leave nothing, of 2"}, id="interruptions"),
        pytest.param("learning-curve", {"90 users: log loss", "90 users - the size before"}, id="learning-curve"),
        pytest.param("training", {"this step over copied windows", "this step, share of the limit"}, id="training"),
        pytest.param(
            "serving-attack",
            {
                "64 clients, 64 kB, users without visits: p99 by that before",
                "64 clients, 6 MB, abandoned: slowest ping",
                "mixed requests: memory before",
                "a worker is killed: replaced after",
            },
            id="serving-attack",
        ),
        pytest.param("serving", {"64 clients: throughput by TensorFlow", "bulk by the sgemm limit"}, id="serving"),
    ],
)
def test_a_benchmark_runs_and_writes_its_figures(tmp_path: Path, name: str, figures: set[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks", "--only", name, "--quick"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=patient(300)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = {
        figure["name"]: figure["value"] for figure in json.loads((tmp_path / "build/bench/results.json").read_text())
    }
    assert figures <= results.keys(), results
    assert all(math.isfinite(value) for value in results.values())
