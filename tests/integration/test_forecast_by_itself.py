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
    world = ["--users", "1400", "--days", "40", "--end", "2026-10-31", "--dates", "1"]
    done = subprocess.run(
        [*command, *world], cwd=ROOT, capture_output=True, text=True, timeout=patient(600), check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    _, _, shown = done.stdout.partition("Visits caused, and the truth of this world:")
    (found,) = re.findall(r"\n best_hour +([\d.]+)% +([+-]\d+) +([+-]\d+) to ([+-]\d+) +[\w ]+? +([+-]\d+) *\n", shown)
    hits, caused, low, high, truth = map(float, found)
    # In this world a push in a free hour brings one in five of those who would not come; most best hours are free.
    assert 60 < truth < 200
    assert low <= truth <= high
    assert low < caused < high
    # Hits count the visits that the push moved, and those that would have been there anyway.
    assert 10 * hits > truth
    assert not (tmp_path / "home/region.json").exists()
