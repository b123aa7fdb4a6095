"""The command line: start, find and stop a region, translate a query."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from patience import patient
from region import Region, running_region, wait_for, write_settings
from state_machines import ask, create_ask, machine, output, processing


def command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    config = home / "localaws.toml"
    if not config.exists():
        write_settings(home)
    options = ["--config", str(config), "--port", "0"] if words[0] in ("up", "serve") else []
    return localaws(*words, "--home", str(home), *options)


def localaws(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "localaws", *words],
        capture_output=True,
        text=True,
        timeout=patient(120),
        check=False,
    )


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_up_env_up_again_and_down_leave_nothing_running(tmp_path: Path) -> None:
    first = command(tmp_path, "up")
    assert first.returncode == 0, first.stderr
    described = json.loads((tmp_path / "region.json").read_text())
    assert described["endpoint_url"] in first.stdout
    try:
        answer = Region(described["endpoint_url"], tmp_path).control("GET", "health")
        assert answer.json()["pid"] == described["pid"]
        assert (tmp_path / "region.json").stat().st_mode & 0o077 == 0
        again = command(tmp_path, "up")
        assert (again.returncode, "already running" in again.stdout) == (0, True)
        exported = command(tmp_path, "env").stdout
        assert f"AWS_ENDPOINT_URL={described['endpoint_url']}" in exported
        assert "AWS_REGION=eu-central-1" in exported
    finally:
        stopped = command(tmp_path, "down")
    assert stopped.returncode == 0
    assert not alive(described["pid"])
    assert not (tmp_path / "region.json").exists()
    assert command(tmp_path, "down").returncode == 0
    assert command(tmp_path, "env").returncode == 1


STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on'); time.sleep(600)"
"""A job that does not end by itself."""


def stopped_after_a_workflow(home: Path) -> float:
    """Run a workflow in a region of its own, stop it while a job runs, and return the seconds that this took."""
    home.mkdir()
    assert command(home, "up").returncode == 0
    described = json.loads((home / "region.json").read_text())
    region = Region(described["endpoint_url"], home)
    region.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
    create_ask(region)
    states = {"Ask": ask({"a": 1}, Next="Job"), "Job": processing("print('done')", End=True)}
    output(region.run({"StartAt": "Ask", "States": states}))
    region.start(machine(processing(STUBBORN)), name="stubborn")
    (job,) = wait_for(lambda: region.processes("job-stubborn"), bool)
    (handler,) = region.processes("ask")
    started = time.monotonic()
    stopped = command(home, "down")
    seconds = time.monotonic() - started
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert not any(alive(child["pid"]) for child in (job, handler, described))
    assert {path.name for path in home.iterdir()} == {"calls.jsonl", "region.log", "localaws.toml", "image"}
    return seconds


def test_down_after_a_workflow_ends_within_seconds_and_leaves_nothing(tmp_path: Path) -> None:
    # The machine may be busy with other tests: one of three must be as fast as an idle one.
    assert any(stopped_after_a_workflow(tmp_path / str(attempt)) < patient(3) for attempt in range(3))


def test_down_kills_a_region_that_does_not_stop_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command(tmp_path, "up").returncode == 0
    region = json.loads((tmp_path / "region.json").read_text())
    monkeypatch.setenv("LOCALAWS_PATIENCE", "much")
    refused = command(tmp_path, "down")
    assert (refused.returncode, "LOCALAWS_PATIENCE is 'much'" in refused.stderr) == (2, True)
    monkeypatch.setenv("LOCALAWS_PATIENCE", "0")
    killed = command(tmp_path, "down")
    assert (killed.returncode, "did not stop within 0 s" in killed.stderr) == (1, True)
    wait_for(lambda: alive(region["pid"]), lambda found: not found)
    assert not (tmp_path / "region.json").exists()


def test_up_starts_a_region_after_another_has_died(tmp_path: Path) -> None:
    assert command(tmp_path, "up").returncode == 0
    first = json.loads((tmp_path / "region.json").read_text())
    os.kill(first["pid"], 9)
    wait_for(lambda: alive(first["pid"]), lambda found: not found)
    second = command(tmp_path, "up")
    try:
        assert second.returncode == 0, second.stderr
        assert "has died" in second.stderr
        assert json.loads((tmp_path / "region.json").read_text())["pid"] != first["pid"]
    finally:
        command(tmp_path, "down")


def test_a_malformed_file_of_settings_is_explained(tmp_path: Path) -> None:
    (tmp_path / "localaws.toml").write_text('[region]\nname = "nowhere"\n')
    failed = command(tmp_path, "up")
    assert failed.returncode == 2
    assert "region.name" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_that_does_not_exist_is_refused(port: str) -> None:
    refused = localaws("up", f"--port={port}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"'{port}' is not a port, a whole number from 0 to 65535" in refused.stderr


def test_a_port_that_is_in_use_is_explained(tmp_path: Path) -> None:
    write_settings(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        where = ["--home", str(tmp_path / "home"), "--config", str(tmp_path / "localaws.toml")]
        refused = localaws("serve", *where, "--port", port)
    assert refused.returncode == 1
    assert f"Cannot listen on port {port}" in refused.stderr


def test_settings_that_are_a_folder_are_explained(tmp_path: Path) -> None:
    refused = localaws("up", "--home", str(tmp_path / "home"), "--config", str(tmp_path))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"{tmp_path} cannot be read: Is a directory. Name another file with --config." in refused.stderr


def test_a_home_that_is_not_a_folder_is_explained(tmp_path: Path) -> None:
    write_settings(tmp_path)
    (tmp_path / "home").write_text("mine")
    config = ["--config", str(tmp_path / "localaws.toml"), "--port", "0"]
    for home in ("home", "home/inside"):
        for words in (["up", *config], ["serve", *config]):
            refused = localaws(*words, "--home", str(tmp_path / home))
            assert (refused.returncode, refused.stdout) == (1, "")
            assert "The home must be a folder that you may write into" in refused.stderr
            assert "Traceback" not in refused.stderr
        stopped = localaws("down", "--home", str(tmp_path / home))
        assert (stopped.returncode, stopped.stdout) == (0, "No region is running.\n")
    assert (tmp_path / "home").read_text() == "mine"


def test_down_ends_a_handler_that_still_runs(tmp_path: Path) -> None:
    with running_region(tmp_path) as region:
        region.create_function("sleeper", {"app.py": "import time\ndef handler(e, c): time.sleep(60)"}, Timeout=50)
        region.client("lambda").invoke(FunctionName="sleeper", InvocationType="Event", Payload="{}")
        children = wait_for(lambda: region.processes("sleeper"), bool)
    assert [child["kind"] for child in children] == ["function"]
    assert not alive(children[0]["pid"])


def translated(query: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localaws", "translate"]
    return subprocess.run(command, input=query, capture_output=True, text=True, check=False, timeout=patient(120))


def test_a_translated_query_runs_on_duckdb() -> None:
    script = translated("SELECT date_diff('hour', timestamp '2020-01-01 00:59:00', timestamp '2020-01-01 01:01:00')")
    with duckdb.connect() as connection:
        assert connection.sql(script.stdout).fetchall() == [(0,)]


def test_the_query_inside_an_unload_is_translated() -> None:
    script = translated("UNLOAD (SELECT 7 / 2 AS half) TO 's3://bucket/key' WITH (format = 'PARQUET')")
    with duckdb.connect() as connection:
        assert connection.sql(script.stdout).fetchall() == [(3,)]


def test_what_athena_would_refuse_is_not_translated() -> None:
    refused = translated("SELEC 1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "line 1:" in refused.stderr
