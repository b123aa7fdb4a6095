"""Whatever command is interrupted, by whatever signal, at whatever early step: nothing of it runs afterwards.

The later steps, whose points take a minute each, are in ``python -m benchmarks --only interruptions``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM

import pytest
from patience import FACTOR

from benchmarks.interrupted import SAID, Checkout, Point
from demo.region import is_running, region

EVERY_SIGNAL = (SIGINT, SIGTERM, SIGHUP, SIGKILL)
POINTS = [
    *(Point("demo", "begins", number) for number in EVERY_SIGNAL),
    *(Point("demo", "sam build", number) for number in EVERY_SIGNAL),
    *(Point("demo", "the region is starting", number) for number in EVERY_SIGNAL),
    Point("demo", "the region has started", SIGINT, "program"),
    Point("demo", "the region has started", SIGTERM),
    Point("demo", "the region has started", SIGHUP),
    Point("demo", "the region has started", SIGKILL, "program"),
    Point("demo", "the region has started", SIGKILL, "make"),
    Point("the demo's region", "the region has started", SIGTERM, "program"),
    Point("the demo's region", "the region has started", SIGKILL, "program"),
    Point("forecast", "begins", SIGTERM),
    Point("forecast", "sam build", SIGINT),
    Point("forecast", "the region is starting", SIGKILL),
    Point("lift", "sam build", SIGHUP),
    Point("lift", "the region has started", SIGINT),
    Point("up", "up begins", SIGINT),
    Point("up", "the region is starting", SIGTERM),
    Point("up", "the region is starting", SIGHUP),
    Point("up", "the region is starting", SIGKILL),
    *(Point("console of an account", "it answers", number) for number in EVERY_SIGNAL),
    Point("console of an account", "it answers", SIGKILL, "make"),
    *(Point("region", "the region has started", number) for number in EVERY_SIGNAL),
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")  # for the console
        yield Checkout(tmp_path_factory.mktemp("interrupted") / "checkout")


def test_there_are_30_points() -> None:
    assert len(set(POINTS)) == len(POINTS) >= 30


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_an_interrupted_command_leaves_nothing(point: Point, checkout: Checkout) -> None:
    outcome = checkout.interrupt(point, FACTOR)
    assert outcome.wrong == [], outcome.output


def test_a_run_that_succeeded_has_not_failed_because_its_region_is_slow_to_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with region(tmp_path / "home", tmp_path / "logs", keep=False):
        os.environ["LOCALAWS_PATIENCE"] = "0"
    assert "did not stop within 0 s and was killed, with all that it had started" in capsys.readouterr().err
    assert not is_running(tmp_path / "home")


def test_a_checkout_finds_what_is_left(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "checkout")
    left = checkout.start(["sleep", "600"], tmp_path / "log")
    other = Checkout(tmp_path / "other")
    assert [process.pid for process in checkout.processes()] == [left.pid]
    assert other.processes() == []
    assert SAID not in (tmp_path / "log").read_text()
    left.kill()
    left.wait()
