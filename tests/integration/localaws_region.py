"""A region of its own for tests of the region itself: a server process, a small localaws.toml, boto3 clients."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

CONFIG = """
[region]
name = "eu-central-1"
account_id = "123456789012"
wait_scale = 0.01
retry_scale = 0.01

[images.job]
workdir = "."
command = ["python", "-m", "job"]
"""
JOB = """
# The stand-in for a container: runs the words it is given, or the hyperparameter "script", as Python.
import json, os, pathlib, sys
parameters = pathlib.Path(os.environ["OPT_ML_DIR"], "input/config/hyperparameters.json")
script = sys.argv[-1]
if script == "train":
    script = json.loads(parameters.read_text())["script"]
exec(compile(script, "job", "exec"))
"""
ROLE = "arn:aws:iam::123456789012:role/any"


@dataclass
class Region:
    """A running region."""

    endpoint_url: str
    home: Path
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return a boto3 client; one attempt, so that an error is seen as it is."""
        if service not in self._clients:
            make: Any = boto3.client
            self._clients[service] = make(
                service,
                region_name="eu-central-1",
                endpoint_url=self.endpoint_url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[service]

    def create_function(self, name: str, files: Mapping[str, str], **options: Any) -> str:
        """Deploy a function from source texts; return its ARN."""
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
        """Create a state machine with a name of its own and start it; return the execution's ARN."""
        machine = self.client("stepfunctions").create_state_machine(
            name=f"machine-{time.monotonic_ns()}", definition=json.dumps(definition), roleArn=ROLE
        )["stateMachineArn"]
        options = {"name": name} if name else {}
        answer = self.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps(document if document is not None else {}), **options
        )
        return str(answer["executionArn"])

    def finished(self, execution: str) -> dict[str, Any]:
        """Wait for an execution's end; return its description."""
        while True:
            description: dict[str, Any] = self.client("stepfunctions").describe_execution(executionArn=execution)
            if description["status"] != "RUNNING":
                return description
            time.sleep(0.05)

    def run(self, definition: Mapping[str, Any], document: Any = None) -> dict[str, Any]:
        """Run a state machine to its end."""
        return self.finished(self.start(definition, document))

    def history(self, execution: str) -> list[dict[str, Any]]:
        """Return all events of an execution."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]


@contextmanager
def serving(home: Path) -> Iterator[Region]:
    """Serve a region below a folder; stop it in the end."""
    config = home / "localaws.toml"
    config.write_text(CONFIG)
    (home / "job.py").write_text(JOB)
    command = [sys.executable, "-m", "localaws", "serve", "--port", "0", "--config", str(config), "--home", str(home)]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": "."})
    try:
        while not (home / "region.json").exists():
            assert process.poll() is None, (home / "server.log").read_text()
            time.sleep(0.02)
        region = Region(json.loads((home / "region.json").read_text())["endpoint_url"], home)
        # Lambda asks whether the role exists; nothing asks what it allows.
        region.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
        yield region
    finally:
        process.terminate()
        process.wait(30)
