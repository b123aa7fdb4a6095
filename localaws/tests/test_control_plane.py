"""The command line, and Lambda through its API."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from patience import patient
from region import Region, running_region, wait_for, write_settings

HANDLER = """
import json, os, sys, time
import helper

class BadInput(Exception):
    pass

def handler(event, context):
    print("asked for", json.dumps(event))
    match event.get("do"):
        case "raise":
            raise BadInput("no such thing")
        case "exit":
            os._exit(3)
        case "sleep":
            time.sleep(60)
        case "import":
            __import__(event["name"])
        case "set":
            return {1, 2}
    return {"greeting": helper.GREETING, "mode": os.environ["MODE"], "name": context.function_name,
            "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb,
            "left": context.get_remaining_time_in_millis(), "region": os.environ["AWS_REGION"]}
"""


@pytest.fixture(scope="module")
def function(shared_region: Region) -> str:
    shared_region.create_function(
        "asked",
        {"app.py": HANDLER, "helper.py": "GREETING = 'hello'", "broken.py": "import no_such_module"},
        Environment={"Variables": {"MODE": "test"}},
        Timeout=2,
    )
    return "asked"


def invoke(region: Region, function: str, event: Any, **options: Any) -> tuple[Any, str | None]:
    answer = region.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event), **options)
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def logged(region: Region, group: str) -> str:
    events = region.client("logs").filter_log_events(logGroupName=group)["events"]
    return "\n".join(event["message"] for event in events)


def command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    config = home / "localaws.toml"
    if not config.exists():
        write_settings(home)
    options = ["--home", str(home)]
    if words[0] in ("up", "serve"):
        options += ["--config", str(config), "--port", "0"]
    return subprocess.run(
        [sys.executable, "-m", "localaws", *words, *options],
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
        with urllib.request.urlopen(f"{described['endpoint_url']}/_localaws/health") as answer:
            assert json.load(answer)["pid"] == described["pid"]
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


def test_a_region_that_died_without_notice_is_no_obstacle(tmp_path: Path) -> None:
    assert command(tmp_path, "up").returncode == 0
    first = json.loads((tmp_path / "region.json").read_text())
    os.kill(first["pid"], 9)
    wait_for(lambda: alive(first["pid"]), lambda found: not found)
    second = command(tmp_path, "up")
    try:
        assert second.returncode == 0, second.stderr
        assert "ended without notice" in second.stderr
        assert json.loads((tmp_path / "region.json").read_text())["pid"] != first["pid"]
    finally:
        command(tmp_path, "down")


def test_a_malformed_file_of_settings_is_explained(tmp_path: Path) -> None:
    (tmp_path / "localaws.toml").write_text('[region]\nname = "nowhere"\n')
    failed = command(tmp_path, "up")
    assert failed.returncode == 2
    assert "region.name" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_down_ends_a_handler_that_still_runs(tmp_path: Path) -> None:
    with running_region(tmp_path) as region:
        region.create_function("sleeper", {"app.py": "import time\ndef handler(e, c): time.sleep(60)"}, Timeout=50)
        region.client("lambda").invoke(FunctionName="sleeper", InvocationType="Event", Payload="{}")
        children = wait_for(lambda: region.processes("sleeper"), bool)
    assert [child["kind"] for child in children] == ["function"]
    assert not alive(children[0]["pid"])


def test_a_handler_gets_its_event_environment_and_context(region: Region, function: str) -> None:
    result, error = invoke(region, function, {"do": "greet"})
    assert error is None
    assert result["greeting"] == "hello"
    assert (result["mode"], result["region"]) == ("test", "eu-central-1")
    assert (result["name"], result["memory"]) == ("asked", "128")
    assert result["arn"].endswith(":function:asked")
    assert 0 < result["left"] <= 2000


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        pytest.param({"do": "raise"}, "BadInput", "no such thing", id="exception"),
        pytest.param({"do": "exit"}, "Runtime.ExitError", "exit status 3", id="exit"),
        pytest.param({"do": "sleep"}, "Sandbox.Timedout", "Task timed out after 2.00 seconds", id="timeout"),
        pytest.param({"do": "set"}, "Runtime.MarshalError", "not JSON serializable", id="unserialisable"),
        pytest.param({"do": "import", "name": "pandas"}, "ModuleNotFoundError", "pandas", id="not in the bundle"),
    ],
)
def test_a_failing_handler_is_a_function_error_of_its_kind(
    region: Region, function: str, event: Any, kind: str, message: str
) -> None:
    result, error = invoke(region, function, event)
    assert error == "Unhandled"
    assert result["errorType"] == kind
    assert message in result["errorMessage"]


@pytest.mark.parametrize(
    ("handler", "kind"),
    [("broken.handler", "Runtime.ImportModuleError"), ("app.nobody", "Runtime.HandlerNotFound")],
)
def test_a_handler_that_cannot_be_loaded_says_why(region: Region, function: str, handler: str, kind: str) -> None:
    region.client("lambda").update_function_configuration(FunctionName=function, Handler=handler)
    try:
        result, error = invoke(region, function, {})
    finally:
        region.client("lambda").update_function_configuration(FunctionName=function, Handler="app.handler")
    assert (error, result["errorType"]) == ("Unhandled", kind)


def test_the_sdk_comes_with_the_runtime(region: Region, function: str) -> None:
    _, error = invoke(region, function, {"do": "import", "name": "boto3"})
    assert error is None


def test_what_a_handler_prints_is_in_its_log_group_and_in_the_tail(region: Region, function: str) -> None:
    answer = region.client("lambda").invoke(FunctionName=function, LogType="Tail", Payload='{"do": "tail"}')
    assert b'asked for {"do": "tail"}' in base64.b64decode(answer["LogResult"])
    log = logged(region, "/aws/lambda/asked")
    assert 'asked for {"do": "tail"}' in log
    assert "REPORT RequestId" in log


def test_a_function_logs_to_the_group_it_is_configured_with(region: Region) -> None:
    group = "/elsewhere"
    region.create_function(
        "elsewhere", {"app.py": "def handler(e, c): print('here')"}, LoggingConfig={"LogGroup": group}
    )
    invoke(region, "elsewhere", {})
    assert "here" in logged(region, group)


def test_new_code_is_what_runs_next(region: Region) -> None:
    region.create_function("changing", {"app.py": "def handler(e, c): return 1"})
    assert invoke(region, "changing", {}) == (1, None)
    region.client("lambda").delete_function(FunctionName="changing")
    region.create_function("changing", {"app.py": "def handler(e, c): return 2"})
    assert invoke(region, "changing", {}) == (2, None)


def test_a_module_compiled_for_another_python_is_replaced_by_the_installed_one(region: Region) -> None:
    region.create_function(
        "compiled",
        {
            "app.py": "import rpds\ndef handler(e, c): return [rpds.__file__, len(rpds.HashTrieMap({1: 2}))]",
            "rpds/__init__.py": "from .rpds import *",
            "rpds/rpds.cpython-399-x86_64-linux-gnu.so": "not for this interpreter",
        },
    )
    (path, size), error = invoke(region, "compiled", {})
    assert error is None
    assert (str(region.home) in path, size) == (False, 1)
    assert "rpds: the bundle's build is for another Python" in logged(region, "/aws/lambda/compiled")


def test_powertools_accept_the_context(region: Region) -> None:
    import aws_lambda_powertools

    package = Path(aws_lambda_powertools.__file__).parent
    files = {f"aws_lambda_powertools/{path.relative_to(package)}": path.read_text() for path in package.rglob("*.py")}
    site = package.parent
    files |= {f"jmespath/{path.name}": path.read_text() for path in (site / "jmespath").glob("*.py")}
    files["typing_extensions.py"] = (site / "typing_extensions.py").read_text()
    files["app.py"] = (
        "from aws_lambda_powertools import Logger\n"
        "logger = Logger(service='test')\n"
        "@logger.inject_lambda_context\n"
        "def handler(event, context):\n    logger.info('written')\n    return True\n"
    )
    region.create_function("powertools", files)
    assert invoke(region, "powertools", {}) == (True, None)
    lines = [line for line in logged(region, "/aws/lambda/powertools").splitlines() if line.startswith("{")]
    assert json.loads(lines[0])["function_name"] == "powertools"
