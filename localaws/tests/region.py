"""A running region with one small image, and what tests do with it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError
from patience import patient

WITHIN_SECONDS = patient(120)
ROLE = "arn:aws:iam::123456789012:role/any"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/tester:1"
MOCKS = "mocks.json"
"""File in the home of the region of all tests, with the mocked responses of the test that runs."""

SETTINGS = """
[region]
name = "eu-central-1"
account_id = "123456789012"
wait_scale = 0.01
retry_scale = 0.01

[images.tester]
workdir = "image"
command = ["python", "-m", "tester"]

[quotas]
"ml.p3.2xlarge for training job usage" = 0
"ml.p3.2xlarge for spot training job usage" = 1
"ml.p3.2xlarge for processing job usage" = 0
"ml.p3.2xlarge for transform job usage" = 0
"ml.p3.2xlarge for endpoint usage" = 1
"ml.p3.8xlarge for endpoint usage" = 0
"ml.p3.8xlarge for processing job usage" = 2
"""

# The image: `train` runs the code in a hyperparameter, `exec` the lines of code in its arguments, `serve` echoes.
TESTER = """
import http.server, json, os, pathlib, sys

ml = pathlib.Path(os.environ["OPT_ML_DIR"])
sys.stdout.reconfigure(line_buffering=True)


class Echo(http.server.BaseHTTPRequestHandler):
    def answer(self, status, document, kind="application/json"):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("latin-1")
        if body.startswith("status "):
            return self.answer(int(body.split()[1]), {"error": "as ordered"})
        model = (ml / "model" / "name.txt").read_text()
        print("asked", body)
        self.answer(200, {
            "body": body, "model": model, "type": self.headers["Content-Type"], "greeting": os.environ.get("GREETING"),
        })


mode = sys.argv[1]
if mode == "train":
    hyperparameters = json.loads((ml / "input/config/hyperparameters.json").read_text())
    exec(json.loads(hyperparameters.get("code", '""')))
elif mode == "exec":
    words = [*sys.argv[2:], "--"]
    arguments = words[words.index("--") + 1 : -1]
    exec("\\n".join(words[: words.index("--")]))
elif mode == "serve":
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    http.server.ThreadingHTTPServer.request_queue_size = 128
    host = os.environ["SAGEMAKER_BIND_TO_HOST"]
    assert host == "127.0.0.1", host
    http.server.ThreadingHTTPServer((host, port), Echo).serve_forever()
"""


@dataclass(frozen=True)
class Region:
    """A running region."""

    url: str
    home: Path
    bucket: str = "test-bucket"
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return a boto3 client that tries once, so that a test sees the first error."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.url,
                region_name="eu-central-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}, read_timeout=WITHIN_SECONDS),
            )
        return self._clients[service]

    def create_bucket(self, name: str) -> None:
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def put(self, key: str, body: bytes | str) -> str:
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def get(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str) -> list[str]:
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def archive(self, key: str, files: Mapping[str, str]) -> str:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        return self.put(key, buffer.getvalue())

    def members(self, uri: str) -> dict[str, str]:
        with tarfile.open(fileobj=io.BytesIO(self.get(uri)), mode="r:gz") as archive:
            files = [member for member in archive if member.isfile()]
            return {member.name: archive.extractfile(member).read().decode() for member in files}  # type: ignore[union-attr]

    def order(self, **fault: Any) -> None:
        answer = self.control("POST", "faults", json.dumps(fault).encode())
        assert answer.status == 201, answer.data

    def lift(self) -> None:
        self.control("DELETE", "faults")

    def control(self, method: str, path: str, body: bytes | None = None) -> urllib3.BaseHTTPResponse:
        """Call a control path of the region."""
        token = json.loads((self.home / "region.json").read_text())["token"]
        return urllib3.request(method, f"{self.url}/_localaws/{path}", body=body, headers={"X-Localaws-Token": token})

    def processes(self, name: str) -> list[dict[str, Any]]:
        running = self.control("GET", "processes").json()
        return [process for process in running if process["name"] == name]

    def log(self, group: str, stream: str) -> list[str]:
        try:
            events = self.client("logs").get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, limit=10_000
            )
        except ClientError:
            return []
        return [event["message"] for event in events["events"]]

    def create_function(self, name: str, files: Mapping[str, str], **options: Any) -> str:
        """Deploy a function from source texts and return its ARN."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            for path, text in files.items():
                file.writestr(path, text)
        options = {"Runtime": "python3.13", "Handler": "app.handler", "Timeout": 20, **options}
        answer = self.client("lambda").create_function(
            FunctionName=name, Role=ROLE, Code={"ZipFile": archive.getvalue()}, **options
        )
        return str(answer["FunctionArn"])

    def start(self, definition: Mapping[str, Any], document: Any = None, name: str = "") -> str:
        """Create a state machine, start it, and return the ARN of the execution."""
        machine = self.client("stepfunctions").create_state_machine(
            name=f"machine-{time.monotonic_ns()}", definition=json.dumps(definition), roleArn=ROLE
        )["stateMachineArn"]
        options = {"name": name} if name else {}
        answer = self.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps(document if document is not None else {}), **options
        )
        return str(answer["executionArn"])

    def finished(self, execution: str) -> dict[str, Any]:
        """Wait until an execution has ended and return its description."""
        description: dict[str, Any] = wait_for(
            lambda: self.client("stepfunctions").describe_execution(executionArn=execution),
            lambda description: description["status"] != "RUNNING",
        )
        return description

    def run(self, definition: Mapping[str, Any], document: Any = None) -> dict[str, Any]:
        """Run a state machine to its end."""
        return self.finished(self.start(definition, document))

    def history(self, execution: str) -> list[dict[str, Any]]:
        """Return all events of an execution."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]


def wait_for(look: Callable[[], Any], is_wanted: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + WITHIN_SECONDS
    while not is_wanted(seen := look()):
        assert time.monotonic() < end, f"still {seen}"
        time.sleep(0.02)
    return seen


def write_settings(folder: Path) -> Path:
    """Write a localaws.toml and the image that it names, and return the path of the file."""
    package = folder / "image" / "tester"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(TESTER)
    file = folder / "localaws.toml"
    file.write_text(SETTINGS)
    return file


@contextmanager
def running_region(folder: Path) -> Iterator[Region]:
    """Serve a region from a folder, and check at the end that it leaves no files of its work."""
    home = folder / "home"
    command = [sys.executable, "-m", "localaws", "serve", "--port", "0"]
    command += ["--config", str(write_settings(folder)), "--home", str(home)]
    with (folder / "region.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: (home / "region.json").exists() or process.poll() is not None, bool)
        assert process.poll() is None, (folder / "region.log").read_text()
        region = Region(json.loads((home / "region.json").read_text())["endpoint_url"], home)
        region.create_bucket(region.bucket)
        # Lambda requires that the role exists.
        region.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
        yield region
    finally:
        process.terminate()
        process.wait(WITHIN_SECONDS)
    left = [path for name in ("jobs", "endpoints", "athena", "invocations") for path in (home / name).rglob("*")]
    assert left == [], "the region left folders behind"
