"""``make forecast`` and ``make lift`` where nothing runs: a region, a stack, a model, plans, and nothing is left."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deployed_stack import ROOT
from patience import patient

from demo import cli, forecast_run
from demo.simulator import World, simulate

LONG_AGO = date(2004, 3, 12)
"""Before the first date that the events table has by default."""


def events(file: Path, seed: int, users: int) -> Path:
    world = World(users=users, days=40, end=LONG_AGO, seed=seed)
    table = pa.concat_tables(block.events for block in simulate(world))
    named = pc.binary_join_element_wise(table["user_id"], f"of-{file.stem}", "-")
    pq.write_table(table.set_column(table.schema.get_field_index("user_id"), "user_id", named), file)
    return file


@pytest.fixture
def forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return what runs ``make forecast`` in a region that stays, and returns what it prints."""
    monkeypatch.chdir(ROOT)
    # A gate that no model passes, as on a log without habits.
    monkeypatch.setattr(cli, "ARTICLE_MODEL", {"Gate": {"MaxRmseHours": 0.01}, "Hyperparameters": {"epochs": 1}})

    def run(*words: str, status: int = 0) -> str:
        where = ["--home", str(tmp_path / "home"), "--output", str(tmp_path / "out"), "--keep"]
        ended = forecast_run.main([*where, *words])
        printed = capsys.readouterr().out
        assert ended == status, printed[-4000:]
        return printed

    return run


def test_own_events_of_long_ago_get_a_plan_though_the_gate_rejects_the_model(
    tmp_path: Path, forecast: Callable[..., str]
) -> None:
    mine, theirs = events(tmp_path / "mine.parquet", 1, 120), events(tmp_path / "theirs.parquet", 2, 120)
    users = len(pc.unique(pq.read_table(mine)["user_id"]))
    try:
        printed = forecast("--events", str(mine))
        summary = json.loads((tmp_path / "out/summary.json").read_text())
        assert "ModelRejected" in summary["failure"]
        assert f"The plan is for {date(2004, 3, 13)}, the day after the last event" in printed
        assert f"{users} users forecast: " in printed
        assert " by baseline" in printed
        assert "by model" not in printed
        assert "the gate rejected the newest one" in " ".join(printed.split())
        assert set(re.findall(r"user-?\w*-of-(\w+)", printed)) <= {"mine"}

        # Somebody else's users are refused; the same file is forecast again without a training.
        refused = forecast("--events", str(theirs), status=1)
        assert "This region holds the events of other users." in refused
        assert "`make down` ends the region" in " ".join(refused.split())
        again = forecast("--events", str(mine), "--input", '{"HandOver": false}')
        assert f"{users} users forecast: " in again
        assert "No model is in production here" not in again

        stopped = forecast("--events", str(mine), "--input", '{"OnNoModel": "stop"}', status=1)
        assert "The execution ended in 'Production model not found': NoProductionModel" in stopped
        audience = forecast("--events", str(mine), "--input", '{"AudienceUri": "s3://nowhere/audience.csv"}', status=1)
        assert "'Input rejected'" in audience
        for failure in (refused, stopped, audience):
            assert not re.search(r'[{}]|"errorMessage"', failure.partition("FAILED")[2])
    finally:
        down = [sys.executable, "-m", "localaws", "down", "--home", str(tmp_path / "home")]
        subprocess.run(down, cwd=ROOT, check=True, timeout=patient(120))


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
