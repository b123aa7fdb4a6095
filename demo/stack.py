"""Build and deploy the application with sam, the way it is deployed to AWS."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.commands import finish, run, started
from demo.errors import DemoError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient

ENVIRONMENT = "local"
"""Section of samconfig.toml, and the stack's Environment parameter there."""

_SAM = str(Path(sys.executable).with_name("sam"))


@dataclass(frozen=True)
class Stack:
    """Outputs of a deployed stack."""

    name: str
    bucket: str
    state_machine_arn: str
    endpoint: str
    events_start: date


@contextmanager
def building(logs: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start ``sam build``, so that it runs while the region starts."""
    with started([_SAM, "build", "--config-env", ENVIRONMENT], logs / "sam-build.log") as process:
        yield process


def built(process: subprocess.Popen[bytes], logs: Path) -> None:
    """Wait for ``sam build``; raises `DemoError` with the end of its output if it failed."""
    finish(process, logs / "sam-build.log")


def deploy(name: str | None, logs: Path) -> None:
    """Run ``sam deploy``; raises `DemoError` with the end of its output if it failed."""
    options = ["--stack-name", name] if name else []
    if revision := git_revision():
        # Overrides given here replace those of samconfig.toml, so they are repeated.
        options += ["--parameter-overrides", *_settings("deploy")["parameter_overrides"], f"Revision={revision}"]
    run([_SAM, "deploy", "--config-env", ENVIRONMENT, *options], logs / "sam-deploy.log")


def default_name() -> str:
    """Return the stack's name in samconfig.toml."""
    return str(_settings("global")["stack_name"])


def _settings(command: str) -> dict[str, Any]:
    with Path("samconfig.toml").open("rb") as file:
        found: dict[str, Any] = tomllib.load(file)[ENVIRONMENT][command]["parameters"]
    return found


def git_revision() -> str:
    """Return the revision of the checkout, with ``+changes`` where files differ from it; empty outside of one."""
    described = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"]
    try:
        done = subprocess.run(described, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):  # no git here, or no repository
        return ""
    return done.stdout.strip()


def describe(cloudformation: CloudFormationClient, name: str) -> Stack:
    """Read the outputs and parameters of a deployed stack.

    Raises
    ------
    DemoError
        If the stack lacks an output that the demo needs.
    """
    found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    parameters = {item["ParameterKey"]: item["ParameterValue"] for item in found.get("Parameters", [])}
    try:
        return Stack(
            name=name,
            bucket=outputs["BucketName"],
            state_machine_arn=outputs["TrainStateMachineArn"],
            endpoint=outputs["EndpointName"],
            events_start=date.fromisoformat(parameters["EventsStartDate"]),
        )
    except KeyError as error:
        raise DemoError(
            f"The stack {name} lacks the output or parameter {error}.",
            f"It has the outputs {', '.join(outputs) or 'none'}.",
            "Check the Outputs of template.yaml.",
        ) from error
