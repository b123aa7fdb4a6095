"""The proof as an operator runs it, in a local region of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import prove_report
from deployed_stack import ROOT
from patience import patient


def test_every_step_of_the_document_is_proven_and_nothing_runs_on(tmp_path: Path) -> None:
    command = ["make", "prove", "ENVIRONMENT=local", f"PROVE_ARGS=--output {tmp_path}"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=patient(480), stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (report["proven"], report["place"]) == (True, "local region")
    steps = {step["name"]: step for step in report["steps"]}
    assert list(steps) == [row[0] for row in prove_report.rows(ROOT / "docs/proven.md")]
    assert all(name in (tmp_path / "report.html").read_text(encoding="utf-8") for name in steps)
    assert not (tmp_path / "region/region.json").exists()  # the region has stopped

    first, second = (steps[f"{which} training run"]["answer"] for which in ("First", "Second"))
    assert [first["version"], second["version"]] == ["1", "2"]
    assert steps["Rejected model"]["answer"]["endpoint config"] == second["endpoint config"]
    assert "0.01" in steps["Rejected model"]["answer"]["cause"]
    assert steps["Rollback"]["answer"]["endpoint config"] == first["endpoint config"]
    forecast = steps["Forecast"]["answer"]
    assert forecast["messages"] == forecast["sends"] > 0
    assert forecast["one of them"]["user_id"]
    assert steps["Nothing is left"]["answer"] == {"left": "nothing", "key": "PendingDeletion"}

    builds = 0.24  # docs/costs.md; of the rest seconds are paid for here
    assert builds < report["dollars"] < builds + 0.1
    assert steps["First training run"]["dollars"] > 0
