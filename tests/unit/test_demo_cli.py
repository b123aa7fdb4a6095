"""The command lines of the demo: what they refuse, and what a run that does not get far leaves."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from demo import cli, forecast_run, lift_run, write_events
from demo.lock import SAM_BUILD, locked

Main = Callable[[Sequence[str] | None], int]
DEMOS = [cli.main, forecast_run.main, lift_run.main]
of_every_demo = pytest.mark.parametrize("main", DEMOS, ids=["demo", "forecast", "lift"])
SMALL = ["--users", "2", "--days", "3"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@of_every_demo
@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["--users", "0"], "A world needs a user and three days, not 0 users", id="no users"),
        pytest.param(["--end", "yesterday"], "'yesterday' is not a date such as 2026-11-22", id="date"),
        pytest.param(["--hyperparameter", "epochs"], "'epochs' is not NAME=VALUE", id="no value"),
        pytest.param(["--colour"], "unrecognized arguments: --colour", id="unknown"),
    ],
)
def test_a_wrong_option_is_refused_with_the_usage_of_its_command(
    main: Main, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    printed = capsys.readouterr().err
    assert message in " ".join(printed.split())
    name = "python -m demo" if main is cli.main else f"python -m {main.__module__}"
    assert printed.startswith(f"usage: {name} [-h]")
    assert ("--wanted" in printed) is (main is lift_run.main)


@pytest.mark.parametrize(
    ("main", "given", "message"),
    [
        (forecast_run.main, "{bad", "'{bad' is not JSON: "),
        (forecast_run.main, "[]", "'[]' is not a JSON object"),
        (cli.main, "bad.json", "'{bad' is not JSON: "),
        (cli.main, "none.json", "none.json cannot be read: "),
    ],
)
def test_a_wrong_input_is_refused(
    main: Main, given: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text("{bad")
    with pytest.raises(SystemExit, match="2"):
        main(["--input", given])
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["--dates", "0"], "'0' is not a whole number from 1", id="no dates"),
        pytest.param(["--window", "-3"], "'-3' is not a whole number from 1", id="window"),
        pytest.param(["--hours", "2.5"], "'2.5' is not a whole number from 1", id="hours"),
        pytest.param(["--wanted", "0"], "'0' is not a number above 0", id="no lift"),
        pytest.param(["--wanted", "nan"], "'nan' is not a number above 0", id="not a number"),
        pytest.param(["--law", "magic"], "invalid choice: 'magic'", id="law"),
    ],
)
def test_the_lift_refuses_sizes_that_mean_nothing(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        lift_run.main(words)
    assert message in capsys.readouterr().err


@of_every_demo
def test_a_second_demo_with_the_same_output_is_refused(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(tmp_path / "build/demo/.demo.lock"):
        assert main([]) == 1
    printed = capsys.readouterr().out
    assert f"Another demo runs in this clone.\nIt is process {os.getpid()}, since 20" in printed
    assert "It writes into build/demo/ and .aws-sam/." in printed


def test_a_second_demo_in_the_clone_is_refused_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(SAM_BUILD):
        assert cli.main([*SMALL, "--output", "other"]) == 1
    assert "Another demo runs in this clone." in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "other").iterdir()] == [".demo.lock"]
    with locked(SAM_BUILD):  # not held any more
        pass


@pytest.mark.parametrize("main", [*DEMOS, write_events.main], ids=["demo", "forecast", "lift", "events"])
def test_a_build_folder_that_is_none_is_explained(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "build").write_text("mine")
    assert main([]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("FAILED\nbuild")
    assert "must be folders that you may write into" in printed
    assert (tmp_path / "build").read_text() == "mine"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """Return the output of a good run."""
    folder = tmp_path / "build/demo"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text('{"status": "SUCCEEDED"}')
    (folder / "report.html").write_text("good")
    return folder


def test_events_that_cannot_be_read_leave_the_results_of_the_run_before(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--events", "nowhere.csv"]) == 1
    printed = capsys.readouterr().out
    assert "There is no file nowhere.csv." in printed
    assert "Written" not in printed
    assert (earlier / "summary.json").read_text() == '{"status": "SUCCEEDED"}'
    assert (earlier / "report.html").read_text() == "good"


def test_a_run_that_fails_later_leaves_no_report_of_another_run(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(SMALL) == 1  # the region has no settings here
    assert "localaws.toml does not exist" in capsys.readouterr().out
    summary = json.loads((earlier / "summary.json").read_text())
    assert (summary["status"], summary["evaluation"]["report"]) == ("FAILED", None)
    assert not (earlier / "report.html").exists()
