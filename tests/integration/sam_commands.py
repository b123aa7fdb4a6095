"""Start a local region for tests, and run the real `sam` that builds stacks and deploys them to it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
from deployed_stack import ROOT, STACK_NAME, WITHIN_SECONDS
from patience import patient
from samtranslator.yaml_helper import yaml_parse

from demo.stack import sam_environment

LOCAL = {"Environment": "local", "LogRetentionDays": "1"}
"""Parameters of the environment `local` in samconfig.toml: those on the command line replace all of them."""


@contextmanager
def local_region(home: Path, config: Path = ROOT / "localaws.toml") -> Iterator[str]:
    """Run a region of its own on a free port; yield its address."""
    command = [sys.executable, "-m", "localaws"]
    where = ["--port", "0", "--home", str(home), "--config", str(config)]
    subprocess.run([*command, "up", *where], cwd=ROOT, check=True, timeout=patient(120))
    try:
        yield json.loads((home / "region.json").read_text())["endpoint_url"]
    finally:
        subprocess.run([*command, "down", "--home", str(home)], cwd=ROOT, check=True, timeout=patient(120))


def region_environment(home: Path) -> dict[str, str]:
    """Return what `python -m localaws env` says, as variables."""
    printed = subprocess.run(
        [sys.executable, "-m", "localaws", "env", "--home", str(home)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=patient(60),
    ).stdout
    words = (word for word in shlex.split(printed) if "=" in word)
    return dict(word.split("=", 1) for word in words)


def deploy(build_folder: Path, stack_name: str = STACK_NAME, **parameters: str) -> dict[str, str]:
    """`sam build` and `sam deploy --config-env local`, with some parameters changed; return the stack's outputs."""
    sam("build", "--config-env", "local", "--build-dir", str(build_folder))
    sam_deploy(build_folder, "local", LOCAL | parameters, "--stack-name", stack_name)
    return stack_outputs(stack_name)


def build(folder: Path) -> None:
    """`sam build` into a folder, for several deployments.

    Each `sam deploy` reads the template's YAML several times and packs every function anew. Here the template becomes
    JSON and each function a zip file, which `sam deploy` takes as they are: less than half of its time is left.
    """
    sam("build", "--config-env", "local", "--build-dir", str(folder))
    file = folder / "template.yaml"
    template = yaml_parse(file.read_text(encoding="utf-8"))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            properties["CodeUri"] = pack(folder / properties["CodeUri"]).name
    file.write_text(json.dumps(template), encoding="utf-8")


def pack(function: Path) -> Path:
    """Pack the folder of a built function into a zip file beside it; return the file."""
    archive = function.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(function.rglob("*")):
            packed.write(file, file.relative_to(function))
    return archive


def sam_deploy(
    build_folder: Path, environment: str, parameters: Mapping[str, str], *arguments: str, succeeds: bool = True
) -> str:
    """`sam deploy` what was built, as an environment of samconfig.toml; return what it printed."""
    # sam looks for its configuration beside the template, which is in the build folder here.
    config = ["--config-env", environment, "--config-file", str(ROOT / "samconfig.toml")]
    template = ["--template-file", str(build_folder / "template.yaml")]
    overrides = [f'{name}="{value}"' for name, value in parameters.items()]  # sam ends a bare value at its first space
    more = ["--use-json", "--no-confirm-changeset", *arguments, "--parameter-overrides", *overrides]
    return sam("deploy", *config, *template, *more, succeeds=succeeds)


def sam(*arguments: str, succeeds: bool = True, answers: str = "") -> str:
    """Run the real `sam`, which must succeed or must fail, with answers to its questions; return what it printed."""
    tools = Path(sys.executable).parent
    environment = {
        **os.environ,
        **sam_environment(),
        "SAM_CLI_POLL_DELAY": "0.2",
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        [str(tools / "sam"), *arguments],
        cwd=ROOT,
        env=environment,
        input=answers,
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert (done.returncode == 0) == succeeds, printed[-6000:]
    return printed


def delete(stack_name: str) -> None:
    """Delete a stack and wait until it is gone."""
    cloudformation = boto3.client("cloudformation")
    cloudformation.delete_stack(StackName=stack_name)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=stack_name, WaiterConfig={"Delay": 1, "MaxAttempts": round(WITHIN_SECONDS)}
    )


def stack_outputs(name: str) -> dict[str, str]:
    outputs = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}
