"""Build and deploy the application with sam, the way it is deployed to AWS."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from demo.commands import finish, run, started
from demo.errors import DemoError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.client import CloudFormationClient

ENVIRONMENT = "local"
"""Section of samconfig.toml that the demo deploys, and the stack's Environment parameter there."""

_SAM = str(Path(sys.executable).with_name("sam"))
_SAM_FOLDER = Path("build/sam")
_NEVER = 4_102_444_800.0
"""2100-01-01, seconds since 1970; sam ignores a whole number."""


@dataclass(frozen=True)
class Stack:
    """Outputs of a deployed stack."""

    name: str
    bucket: str
    state_machine_arn: str
    endpoint: str
    model_versions: str


def sam_environment() -> dict[str, str]:
    """Return the variables with which sam asks nobody but the region: it reports no use and looks for no newer version.

    For the latter it has no option, but a file that says when it looked last (samcli/cli/global_config.py).
    """
    _SAM_FOLDER.mkdir(parents=True, exist_ok=True)
    metadata = _SAM_FOLDER / "metadata.json"
    if not metadata.is_file():
        metadata.write_text(json.dumps({"telemetryEnabled": False, "lastVersionCheck": _NEVER}))
    return {"SAM_CLI_TELEMETRY": "0", "__SAM_CLI_APP_DIR": str(_SAM_FOLDER.resolve())}


@contextmanager
def building(logs: Path, environment: str = ENVIRONMENT) -> Iterator[subprocess.Popen[bytes]]:
    """Start ``sam build``, so that it runs while the region starts."""
    command = [_SAM, "build", "--config-env", environment]
    with started(command, logs / "sam-build.log", sam_environment()) as process:
        yield process


def built(process: subprocess.Popen[bytes], logs: Path) -> None:
    """Wait for ``sam build``; raises `DemoError` with the end of its output if it failed."""
    finish(process, logs / "sam-build.log")


def deploy(
    name: str | None, logs: Path, environment: str = ENVIRONMENT, changed: Mapping[str, str] | None = None
) -> None:
    """Run ``sam deploy``.

    Parameters
    ----------
    name
        Name of the stack; None for that of samconfig.toml.
    logs
        Folder for the output.
    environment
        Section of samconfig.toml.
    changed
        Parameters instead of those of samconfig.toml.

    Raises
    ------
    DemoError
        It failed; the message has the end of its output.
    """
    # Artifacts of each stack have a prefix of their own: `sam delete` removes all that have it.
    options = ["--stack-name", name, "--s3-prefix", name] if name else []
    changed = {**(changed or {}), **({"Revision": revision} if (revision := git_revision()) else {})}
    if changed:
        # Overrides given here replace those of samconfig.toml, so they are repeated.
        given = dict(item.split("=", 1) for item in _settings("deploy", environment)["parameter_overrides"])
        options += ["--parameter-overrides", *(f"{key}={value}" for key, value in {**given, **changed}.items())]
    run(
        [_SAM, "deploy", "--config-env", environment, "--no-confirm-changeset", *options],
        logs / "sam-deploy.log",
        sam_environment(),
    )


def delete(name: str, logs: Path) -> None:
    """Run ``sam delete``; raises `DemoError` with the end of its output if it failed."""
    region = boto3.session.Session().region_name  # sam takes it from samconfig.toml or this option alone
    command = [_SAM, "delete", "--stack-name", name, "--region", region, "--no-prompts"]
    run(command, logs / "sam-delete.log", sam_environment())


def default_name() -> str:
    """Return the stack's name in samconfig.toml."""
    return str(_settings("global")["stack_name"])


def _settings(command: str, environment: str = ENVIRONMENT) -> dict[str, Any]:
    with Path("samconfig.toml").open("rb") as file:
        found: dict[str, Any] = tomllib.load(file)[environment][command]["parameters"]
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
    """Read the outputs of a deployed stack.

    Raises
    ------
    DemoError
        If the stack lacks an output that the demo needs.
    """
    found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    try:
        return Stack(
            name=name,
            bucket=outputs["BucketName"],
            state_machine_arn=outputs["TrainStateMachineArn"],
            endpoint=outputs["EndpointName"],
            model_versions=outputs["ModelPackageGroupName"],
        )
    except KeyError as error:
        raise DemoError(
            f"The stack {name} lacks the output {error}.",
            f"It has the outputs {', '.join(outputs) or 'none'}.",
            "Check the Outputs of template.yaml.",
        ) from error
