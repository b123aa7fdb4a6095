"""`sam local`: the deployed functions in AWS's Lambda image, which call the services of the local region."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from deployed_stack import ROOT, STACK_NAME, WITHIN_SECONDS
from loopback import free_port
from patience import patient
from samcli.yamlhelper import yaml_dump, yaml_parse

SAM = [str(Path(sys.executable).with_name("sam")), "local"]


@dataclass(frozen=True)
class SamLocal:
    """What was built, and how its functions run in containers."""

    template: Path
    variables: Path
    network: str

    @property
    def options(self) -> list[str]:
        """The options of every `sam local` command."""
        found = ["--template", str(self.template), "--env-vars", str(self.variables), "--docker-network", self.network]
        return [*found, "--skip-pull-image", "--region", os.environ["AWS_REGION"]]

    def invoke(self, function: str, event: str) -> Any:
        """`sam local invoke` with the text of an event; returns the function's answer."""
        command = [*SAM, "invoke", function, "--event", "-", *self.options]
        done = subprocess.run(
            command,
            input=event,
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=patient(300),
        )
        assert done.returncode == 0, done.stderr[-6000:]
        # A function without an answer prints nothing but null; what it logs goes to stderr.
        assert done.stdout.strip(), done.stderr[-6000:]
        return json.loads(done.stdout.splitlines()[-1])

    @contextmanager
    def start_lambda(self, log: Path) -> Iterator[Any]:
        """`sam local start-lambda` during the block; yields a boto3 client of it."""
        port = free_port()
        command = [*SAM, "start-lambda", "--port", str(port), "--warm-containers", "LAZY", *self.options]
        with log.open("w") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=output, stderr=output)
        try:
            end = time.monotonic() + WITHIN_SECONDS
            while f"Running on http://127.0.0.1:{port}" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.2)
            yield boto3.client(
                "lambda",
                endpoint_url=f"http://127.0.0.1:{port}",
                config=Config(retries={"total_max_attempts": 1}, read_timeout=WITHIN_SECONDS),
            )
        finally:
            process.terminate()  # it removes its containers
            process.wait(timeout=patient(60))


def write_template(build_folder: Path) -> Path:
    """Write the built template anew with one more variable: `--env-vars` sets only those that a template names."""
    template = yaml_parse((build_folder / "template.yaml").read_text())
    template["Globals"]["Function"]["Environment"] = {"Variables": {"AWS_ENDPOINT_URL": ""}}
    written = build_folder / "sam-local.yaml"  # beside the bundles, which it names by relative paths
    written.write_text(yaml_dump(template))
    return written


def write_variables(file: Path, region_url: str) -> Path:
    """Write the variables of the deployed functions: `sam local` alone cannot tell what a bucket is called.

    The region's address is among them, as the containers see it. The shell's own AWS_ENDPOINT_URL would win over the
    template's.
    """
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    functions = boto3.client("lambda")
    found = {}
    for resource in resources:
        if resource["ResourceType"] == "AWS::Lambda::Function":
            deployed = functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
            variables = deployed.get("Environment", {}).get("Variables", {})
            found[resource["LogicalResourceId"]] = {**variables, "AWS_ENDPOINT_URL": region_url}
    file.write_text(json.dumps(found))
    return file


def _environment() -> dict[str, str]:
    return {**os.environ, "SAM_CLI_TELEMETRY": "0"}
