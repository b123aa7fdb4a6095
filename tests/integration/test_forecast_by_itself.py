"""``make lift`` where nothing runs: a region, a stack, a model, pushes, the comparison, and nothing is left."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from deployed_stack import ROOT
from patience import patient


def test_an_experiment_with_a_known_lift_by_itself(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "demo.lift_run",
        "--home",
        str(tmp_path / "home"),
        "--output",
        str(tmp_path / "out"),
    ]
    world = ["--users", "700", "--days", "40", "--end", "2026-10-31", "--dates", "1", "--wanted", "1.5"]
    done = subprocess.run(
        [*command, *world], cwd=ROOT, capture_output=True, text=True, timeout=patient(600), check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    measured, _, truth = done.stdout.partition("The lift of an endless experiment in this world:")
    for arm in ("global_best_hour", "random_hour"):
        # A push at the user's own hour is answered about twice as often in this world.
        assert re.search(rf"Lift over {arm}: \+\d+\.\d% \(95% interval [^)]*\): higher", measured), measured[-1000:]
        (true_percent,) = re.findall(rf"Lift over {arm}: \+([\d.]+)%", truth)
        assert float(true_percent) > 30
    assert not (tmp_path / "home/region.json").exists()
