"""The first cause of a failure is what a person reads, on the screen and in summary.json, whatever fails after it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from demo import region as region_module
from demo import run
from demo.cli import interruptible
from demo.errors import DemoError
from demo.execution import Execution
from demo.simulator import World
from demo.summary import Outcome

CAUSE = DemoError("The headline.", "The cause.", "The remedy.")
LATER = ClientError({"Error": {"Code": "ModelError", "Message": "a later one"}}, "InvokeEndpoint")


def options(folder: Path) -> run.Options:
    return run.Options(None, None, World(2, 3), {}, None, False, folder / "home", folder / "output")


def failed_then(later: BaseException) -> Callable[..., None]:
    """Return a run whose execution failed, and in which something else fails afterwards."""

    def steps(_options: run.Options, _screen: Any, outcome: Outcome, _began: float) -> None:
        outcome.events = 3
        outcome.execution = Execution("arn", "FAILED", "E", "", [])
        outcome.failure = str(CAUSE)
        raise later

    return steps


@pytest.mark.parametrize("later", [LATER, DemoError("Another.", "", "")], ids=["an answer of AWS", "the demo itself"])
def test_what_fails_after_the_first_cause_does_not_replace_it(
    later: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "_run", failed_then(later))
    console = Console(file=io.StringIO(), width=120)
    outcome = run.run_demo(options(tmp_path), console)
    assert (outcome.failure, outcome.succeeded, outcome.rejected) == (str(CAUSE), False, False)
    assert "The headline.\nThe cause.\nThe remedy." in console.file.getvalue()  # type: ignore[attr-defined]
    assert json.loads((tmp_path / "output/summary.json").read_text())["failure"] == str(CAUSE)


@pytest.mark.parametrize("first", [CAUSE, None], ids=["after a failure", "after a success"])
def test_a_region_that_does_not_end_well_is_told_only_if_nothing_else_failed_and_fails_nothing(
    first: DemoError | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unwell = DemoError("The region did not end.", "It was killed.", "Look into its log.")

    def refuse(*_: object) -> str:
        raise unwell

    monkeypatch.setattr(region_module, "_environment_of", lambda _home: None)
    monkeypatch.setattr(region_module, "_start", lambda _home, _logs, **_: {})
    monkeypatch.setattr(region_module, "run", refuse)

    def work() -> None:
        with region_module.region(tmp_path, tmp_path, keep=False):
            if first is not None:
                raise first

    with nullcontext() if first is None else pytest.raises(DemoError, match="The headline"):
        work()
    assert capsys.readouterr().err == (f"{unwell}\n" if first is None else "")


@pytest.mark.parametrize(("error", "told"), [(CAUSE, "The headline.\nThe cause."), (LATER, "a later one")])
def test_every_command_prints_what_failed_instead_of_a_traceback(
    error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_console: Console) -> int:
        raise error

    assert interruptible(work) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("FAILED\n")
    assert told in printed
