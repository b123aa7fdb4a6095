"""CodeBuild and ECR through their APIs."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest
from region import ROLE, Region, wait_for

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
DOCKERFILE = "FROM scratch\nCOPY app /opt/app\n"


@pytest.fixture(scope="module", autouse=True)
def _source_and_repository(shared_region: Region) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("Dockerfile", DOCKERFILE)
        file.writestr("app/main.py", "print('here')\n")
    shared_region.put("source.zip", archive.getvalue())
    shared_region.client("ecr").create_repository(repositoryName="built/app", imageTagMutability="IMMUTABLE")


def build(region: Region, name: str, phases: Mapping[str, Any], *, wait: bool = True, **options: Any) -> dict[str, Any]:
    """Create a project, start a build, and return it."""
    spec = json.dumps({"phases": {phase: {"commands": lines} for phase, lines in phases.items()}}, indent=1)
    region.client("codebuild").create_project(
        name=name,
        source={
            "type": "S3",
            "location": f"{region.bucket}/source.zip",
            "buildspec": spec,
        },
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "computeType": "BUILD_GENERAL1_SMALL",
            "image": "any",
            "environmentVariables": [{"name": "WORD", "value": "project"}],
        },
        serviceRole=ROLE,
    )
    started = region.client("codebuild").start_build(projectName=name, **options)["build"]
    return ended(region, started["id"]) if wait else started


def ended(region: Region, build_id: str) -> dict[str, Any]:
    found: dict[str, Any] = wait_for(
        lambda: region.client("codebuild").batch_get_builds(ids=[build_id])["builds"][0],
        lambda build: build["buildStatus"] != "IN_PROGRESS",
    )
    return found


def log(region: Region, found: Mapping[str, Any]) -> list[str]:
    place = {"logGroupName": found["logs"]["groupName"], "logStreamName": found["logs"]["streamName"]}
    return [event["message"] for event in region.client("logs").get_log_events(**place)["events"]]


def phases(found: Mapping[str, Any]) -> dict[str, str]:
    return {phase["phaseType"]: phase.get("phaseStatus", "") for phase in found["phases"]}


def test_commands_run_in_the_source_with_the_builds_variables(region: Region) -> None:
    commands = {"pre_build": ["export LATER=kept"], "build": ["echo $WORD $LATER", "cat app/main.py"]}
    override = [{"name": "WORD", "value": "build"}]
    found = build(region, "commands", commands, environmentVariablesOverride=override)
    assert found["buildStatus"] == "SUCCEEDED", found
    assert {"build kept", "print('here')"} <= set(log(region, found))


def test_a_push_puts_the_tag_into_the_registry_once(region: Region) -> None:
    uri = f"{REGISTRY}/built/app:1"
    commands = [
        f"aws ecr get-login-password | docker login --username AWS --password-stdin {REGISTRY}",
        "aws ecr-public get-login-password --region us-east-1 | docker login --password-stdin public.ecr.aws",
        "docker pull public.ecr.aws/docker/library/python:3.13-slim",
        f"docker build --tag {uri} .",
        f"docker push {uri}",
    ]
    assert build(region, "push", {"build": commands})["buildStatus"] == "SUCCEEDED"
    (image,) = region.client("ecr").describe_images(repositoryName="built/app", imageIds=[{"imageTag": "1"}])[
        "imageDetails"
    ]
    assert image["imageDigest"].startswith("sha256:")
    again = build(region, "push-again", {"build": commands})
    assert again["buildStatus"] == "FAILED"
    assert any("already exists" in line for line in log(region, again))


@pytest.mark.parametrize(
    ("commands", "expected", "message"),
    [
        pytest.param(
            {"pre_build": ["exit_with() { return $1; }", "exit_with 3"], "build": ["true"]},
            {"PRE_BUILD": "FAILED"},
            "Error while executing command: exit_with 3. Reason: exit status 3",
            id="before the build",
        ),
        pytest.param(
            {"build": ["false", "echo unreached"], "post_build": ["true", "echo afterwards"]},
            {"BUILD": "FAILED", "POST_BUILD": "SUCCEEDED"},
            "Error while executing command: false. Reason: exit status 1",
            id="in the build",
        ),
        pytest.param(
            {"build": ["exit 4"]},
            {"BUILD": "FAILED"},
            "Error while executing command: exit 4. Reason: exit status 4",
            id="by leaving the shell",
        ),
        pytest.param(
            {"build": ["docker build --tag a --file nowhere ."]},
            {"BUILD": "FAILED"},
            "exit status 1",
            id="no Dockerfile",
        ),
    ],
)
def test_a_failed_command_ends_the_build(
    region: Region, request: pytest.FixtureRequest, commands: Any, expected: dict[str, str], message: str
) -> None:
    name = "".join(filter(str.isalnum, request.node.callspec.id))
    found = build(region, name, commands)
    assert found["buildStatus"] == "FAILED"
    assert expected.items() <= phases(found).items()
    assert ("BUILD" in phases(found)) == (name != "beforethebuild")
    contexts = [context["message"] for phase in found["phases"] for context in phase.get("contexts", [])]
    assert any(message in context for context in contexts)
    assert "unreached" not in log(region, found)


def test_a_source_that_is_not_there_fails_in_its_phase(region: Region) -> None:
    found = build(region, "nosource", {"build": ["true"]}, sourceLocationOverride=f"{region.bucket}/gone.zip")
    assert found["buildStatus"] == "FAILED"
    assert phases(found)["DOWNLOAD_SOURCE"] == "FAILED"


def test_a_build_can_be_stopped(region: Region) -> None:
    started = build(region, "stopped", {"build": ["sleep 600"]}, wait=False)
    assert started["buildStatus"] == "IN_PROGRESS"
    region.client("codebuild").stop_build(id=started["id"])
    assert ended(region, started["id"])["buildStatus"] == "STOPPED"
