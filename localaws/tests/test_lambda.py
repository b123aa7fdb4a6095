"""Lambda through its API: the environment of a handler, its result, errors and log."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from patience import patient
from region import Region

from localaws.lambda_runtime.sandbox import unpack

TIMEOUT = max(2, round(patient(2)))
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
        Timeout=TIMEOUT,
    )
    return "asked"


def invoke(region: Region, function: str, event: Any, **options: Any) -> tuple[Any, str | None]:
    answer = region.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event), **options)
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def logged(region: Region, group: str) -> str:
    events = region.client("logs").filter_log_events(logGroupName=group)["events"]
    return "\n".join(event["message"] for event in events)


def test_a_handler_gets_its_event_environment_and_context(region: Region, function: str) -> None:
    result, error = invoke(region, function, {"do": "greet"})
    assert error is None
    assert result["greeting"] == "hello"
    assert (result["mode"], result["region"]) == ("test", "eu-central-1")
    assert (result["name"], result["memory"]) == ("asked", "128")
    assert result["arn"].endswith(":function:asked")
    assert 0 < result["left"] <= TIMEOUT * 1000


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        pytest.param({"do": "raise"}, "BadInput", "no such thing", id="exception"),
        pytest.param({"do": "exit"}, "Runtime.ExitError", "exit status 3", id="exit"),
        pytest.param({"do": "sleep"}, "Sandbox.Timedout", f"Task timed out after {TIMEOUT:.2f} seconds", id="timeout"),
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


COUNTER = """
import os, time
calls = 0

def handler(event, context):
    global calls
    calls += 1
    print(f"call {calls}")
    time.sleep(event.get("sleep", 0))
    if event.get("exit"):
        raise SystemExit("enough")
    return [os.getpid(), calls]
"""


def test_a_function_stays_loaded_between_invocations(region: Region) -> None:
    region.create_function("counting", {"app.py": COUNTER}, Timeout=20)
    (first, calls), _ = invoke(region, "counting", {})
    answer = region.client("lambda").invoke(FunctionName="counting", LogType="Tail", Payload="{}")
    assert (calls, json.loads(answer["Payload"].read())) == (1, [first, 2])
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert ("call 1" in tail, "call 2" in tail) == (False, True)


def test_invocations_at_the_same_time_have_processes_of_their_own(region: Region) -> None:
    region.create_function("together", {"app.py": COUNTER}, Timeout=60)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: invoke(region, "together", {"sleep": 5}), range(2)))
    assert [calls for (_, calls), _ in answers] == [1, 1]
    assert len({pid for (pid, _), _ in answers}) == 2


@pytest.mark.parametrize(("event", "kind"), [({"sleep": 60}, "Sandbox.Timedout"), ({"exit": True}, "SystemExit")])
def test_after_a_timeout_or_an_exit_the_next_invocation_starts_anew(
    region: Region, event: dict[str, Any], kind: str
) -> None:
    name = f"ended-{kind.replace('.', '-')}"
    region.create_function(name, {"app.py": COUNTER}, Timeout=2)
    (pid, _), _ = invoke(region, name, {})
    result, error = invoke(region, name, event)
    assert (error, result["errorType"]) == ("Unhandled", kind)
    (next_pid, calls), _ = invoke(region, name, {})
    assert calls == 1
    assert next_pid != pid


def test_another_configuration_is_another_process(region: Region) -> None:
    region.create_function("configured", {"app.py": COUNTER}, Timeout=20)
    (pid, _), _ = invoke(region, "configured", {})
    region.client("lambda").update_function_configuration(
        FunctionName="configured", Environment={"Variables": {"MODE": "other"}}
    )
    (next_pid, calls), _ = invoke(region, "configured", {})
    assert (next_pid != pid, calls) == (True, 1)


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
    assert "rpds: the bundle has it for another Python" in logged(region, "/aws/lambda/compiled")


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


def test_functions_with_the_same_files_are_unpacked_once(tmp_path: Path) -> None:
    archives = []
    for year in (2024, 2025):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr(zipfile.ZipInfo("app.py", (year, 1, 1, 0, 0, 0)), "first")
        archives.append(archive.getvalue())
    assert archives[0] != archives[1]
    assert unpack(tmp_path, archives[0]) == unpack(tmp_path, archives[1])
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("app.py", "other")
    assert (unpack(tmp_path, other.getvalue()) / "app.py").read_text() == "other"
    assert (unpack(tmp_path, archives[0]) / "app.py").read_text() == "first"
