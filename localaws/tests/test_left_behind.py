"""Nothing that a region starts stays, whoever dies first and however; a proxy hides no region."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from patience import patient
from region import Region, wait_for, write_settings
from state_machines import machine, processing

WITHIN = 60.0


def of_home(home: Path) -> list[psutil.Process]:
    """Find the processes of a home as a person would: by what their command lines and folders say."""
    found = []
    for process in psutil.process_iter():
        try:
            texts = [*process.cmdline(), process.cwd()]
            ended = process.status() == psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            continue
        if not ended and process.pid != os.getpid() and any(str(home) in text for text in texts):
            found.append(process)
    return found


@pytest.fixture(autouse=True)
def _hangup() -> Iterator[None]:
    """Programs that are started inherit whether SIGHUP is ignored, as it is where `nohup` has started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class Home:
    """A folder of a region, with its command line."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder, self.environment = folder, {**os.environ, **(environment or {})}
        write_settings(folder)

    def start(self, *words: str) -> subprocess.Popen[str]:
        options = ["--config", str(self.folder / "localaws.toml"), "--port", "0"] if words[0] in ("up", "serve") else []
        return subprocess.Popen(
            [sys.executable, "-m", "localaws", *words, "--home", str(self.folder / "home"), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            start_new_session=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        printed = "".join(process.communicate(timeout=patient(120)))
        return process.returncode, printed

    def described(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads((self.folder / "home/region.json").read_text())
        return described

    def start_job(self) -> None:
        region = Region(self.described()["endpoint_url"], self.folder / "home")
        region.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
        region.start(machine(processing("import time; print('on'); time.sleep(600)")), name="long")
        wait_for(lambda: region.processes("job-long"), bool)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    yield Home(tmp_path)
    for process in of_home(tmp_path):  # of a test that failed
        process.kill()


@pytest.mark.parametrize("command", ["down", "up"])
def test_the_jobs_of_a_region_that_was_killed_are_ended_by_the_next_command(home: Home, command: str) -> None:
    assert home.run("up")[0] == 0
    home.start_job()
    killed = home.described()["pid"]
    os.kill(killed, signal.SIGKILL)
    left = of_home(home.folder)
    assert any("image" not in str(process.cmdline()) for process in left)
    code, printed = home.run(command)
    assert code == 0
    if command == "down":
        assert "What it had started has been stopped." in printed
        assert of_home(home.folder) == []
    else:
        assert [process.pid for process in of_home(home.folder)] == [home.described()["pid"]]
        assert home.run("down")[0] == 0
    assert home.run("down") == (0, "No region is running.\n")


def test_a_region_that_does_not_answer_is_stopped_not_forgotten(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.run("up")[0] == 0
    os.kill(home.described()["pid"], signal.SIGSTOP)
    home.environment["LOCALAWS_PATIENCE"] = "0.01"
    code, printed = home.run("down")
    assert (code, "was killed, with all that it had started" in printed) == (1, True)
    wait_for(lambda: of_home(home.folder), lambda found: not found)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("seconds", [0.2, 1.2])
def test_an_interrupted_up_leaves_no_region(home: Home, number: signal.Signals, seconds: float) -> None:
    process = home.start("up")
    time.sleep(patient(seconds))
    process.send_signal(number)
    process.communicate(timeout=patient(WITHIN))
    if process.returncode == 0:  # it was quicker
        assert home.run("down")[0] == 0
    wait_for(lambda: of_home(home.folder), lambda found: not found)


def test_the_exit_status_names_the_signal(home: Home) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = home.start("up")
        wait_for(lambda: len(of_home(home.folder)) > 1, bool)
        process.send_signal(number)
        printed = "".join(process.communicate(timeout=patient(WITHIN)))
        assert (process.returncode, printed) == (128 + number, "Interrupted: no region was left running.\n")
        assert of_home(home.folder) == []


def test_two_at_once_start_one_region(home: Home) -> None:
    both = [home.start("up") for _ in range(2)]
    printed = sorted("".join(process.communicate(timeout=patient(WITHIN))) for process in both)
    assert [process.returncode for process in both] == [0, 0], printed
    assert "is already running at" in printed[0]
    assert [process.pid for process in of_home(home.folder)] == [home.described()["pid"]]
    assert home.run("down") == (0, "The region has stopped.\n")


def test_nohup_keeps_a_region(home: Home) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited
    try:
        process = home.start("serve")
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(lambda: (home.folder / "home/region.json").exists() or process.poll() is not None, bool)
    process.send_signal(signal.SIGHUP)
    home.start_job()  # it still answers
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=patient(WITHIN))
    wait_for(lambda: of_home(home.folder), lambda found: not found)


def test_an_up_that_is_killed_is_ended_by_down(home: Home) -> None:
    process = home.start("up")
    wait_for(lambda: len(of_home(home.folder)) > 1 or process.poll() is not None, bool)
    process.kill()
    process.communicate()
    assert home.run("down")[0] == 0
    wait_for(lambda: of_home(home.folder), lambda found: not found)


def test_a_region_ends_with_its_owner_however_that_ends(home: Home) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as owner:
        assert home.run("up", "--owner", str(owner.pid))[0] == 0
        home.start_job()
        owner.kill()
    wait_for(lambda: of_home(home.folder), lambda found: not found)
    assert not (home.folder / "home/region.json").exists()


def test_a_closed_terminal_ends_a_region_in_the_foreground(home: Home) -> None:
    process = home.start("serve")
    wait_for(lambda: (home.folder / "home/region.json").exists() or process.poll() is not None, bool)
    home.start_job()
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=patient(WITHIN))
    wait_for(lambda: of_home(home.folder), lambda found: not found)


def test_a_proxy_is_not_asked_for_the_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    home = Home(tmp_path, {**nowhere, "NO_PROXY": "intranet.example", "no_proxy": "intranet.example"})
    assert home.run("up")[0] == 0
    try:
        code, printed = home.run("env")
        assert code == 0
        assert "NO_PROXY=intranet.example,127.0.0.1,localhost" in printed
        assert "is already running" in home.run("up")[1]
        for name, value in nowhere.items():
            monkeypatch.setenv(name, value)
        for word in printed.removeprefix("export ").split():
            monkeypatch.setenv(*word.split("=", 1))
        boto3.client("s3").create_bucket(
            Bucket="behind-a-proxy", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        home.start_job()  # the interpreter calls the region too
    finally:
        assert home.run("down") == (0, "The region has stopped.\n")
