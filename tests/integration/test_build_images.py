"""The custom resource that builds images, against CodeBuild and the registry of a local region."""

from __future__ import annotations

import importlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from deployed_stack import Stack, wait_for

BUCKET = "stack-bucket"
ROLE = "arn:aws:iam::123456789012:role/any"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
IMAGES = ("alpha", "beta")
GOOD = """
version: 0.2
phases:
  build:
    commands:
      - docker build --file "$IMAGE/Dockerfile" --tag "$IMAGE_URI" .
      - docker push "$IMAGE_URI"
"""
ECHO = "import json\ndef handler(event, context):\n    print(json.dumps(event))\n"


@pytest.fixture(scope="module")
def region(stack: Stack) -> Stack:
    """The stack's region, with another bucket and a role."""
    stack.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
    return stack


@dataclass
class CloudFormation:
    """CloudFormation's side of the custom resource: requests, and an address for responses."""

    project: str
    containers: Path
    response_url: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    handler: Callable[[dict[str, Any], Any], None] = field(init=False)

    def event(self, request_type: str = "Create", **properties: Any) -> dict[str, Any]:
        return {
            "RequestType": request_type,
            "ResponseURL": self.response_url,
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/visitcast/1",
            "RequestId": "6f1b1f0e-0000-4000-8000-000000000000",
            "LogicalResourceId": "BuiltImages",
            "ResourceProperties": {
                "Bucket": BUCKET,
                "Project": self.project,
                "BaseImage": "",
                "Images": {image: f"{REGISTRY}/{self.project}/{image}" for image in IMAGES},
                **properties,
            },
        }

    def ask(self, event: dict[str, Any] | None = None, *, seconds: int = 600, function: str = "none") -> dict[str, Any]:
        """Invoke the handler; return its response, empty if there is none."""
        context = SimpleNamespace(
            function_name="f",
            memory_limit_in_mb=256,
            aws_request_id="1",
            invoked_function_arn=function,
            get_remaining_time_in_millis=lambda: seconds * 1000,
        )
        self.answers.clear()
        self.handler(event or self.event(), context)
        return self.answers[0] if self.answers else {}

    def builds(self) -> list[str]:
        ids: list[str] = boto3.client("codebuild").list_builds_for_project(projectName=self.project)["ids"]
        return ids

    def make_project(self, buildspec: str) -> None:
        boto3.client("codebuild").create_project(
            name=self.project,
            source={"type": "S3", "location": f"{BUCKET}/none", "buildspec": buildspec},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={"type": "LINUX_CONTAINER", "computeType": "BUILD_GENERAL1_SMALL", "image": "any"},
            serviceRole=ROLE,
        )


@pytest.fixture
def asking(
    region: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[CloudFormation]:
    """Repositories and a project of this test's own; sources of two small images."""
    # The clients are made when the modules are imported.
    modules = (
        "functions.shared.object_versions",
        "functions.build_images.registry",
        "functions.build_images.builds",
        "functions.build_images.app",
    )
    *_, app = (importlib.reload(importlib.import_module(name)) for name in modules)
    containers = tmp_path / "containers"
    for name in ("common", *IMAGES):
        (containers / name).mkdir(parents=True)
        (containers / name / "main.py").write_text(f"print({name!r})\n")
    for name in IMAGES:
        (containers / name / "Dockerfile").write_text(f"FROM scratch\nCOPY common /common\nCOPY {name} /app\n")
    (containers / ".dockerignore").write_text("**/Dockerfile\n")
    monkeypatch.setattr(app, "CONTAINERS", containers)
    with answering() as (url, answers):
        project = f"p{abs(hash(request.node.name)):x}"
        found = CloudFormation(project, containers, url, answers)
        found.handler = app.handler
        for name in IMAGES:
            boto3.client("ecr").create_repository(repositoryName=f"{project}/{name}", imageTagMutability="IMMUTABLE")
        yield found


class answering:  # noqa: N801 - a context manager
    """Receive the function's responses, as CloudFormation's presigned URL does."""

    def __enter__(self) -> tuple[str, list[dict[str, Any]]]:
        answers: list[dict[str, Any]] = []

        class Taker(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/answer", answers

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def uris(answer: dict[str, Any]) -> tuple[str, str]:
    assert answer["Status"] == "SUCCESS", answer
    return answer["Data"]["AlphaImageUri"], answer["Data"]["BetaImageUri"]


def test_only_what_the_registry_lacks_is_built(asking: CloudFormation) -> None:
    asking.make_project(GOOD)
    alpha, beta = uris(asking.ask())
    assert len(asking.builds()) == 2
    repository, _, tag = alpha.partition("/")[2].partition(":")
    boto3.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])

    assert uris(asking.ask(asking.event("Update"))) == (alpha, beta)
    assert len(asking.builds()) == 2

    (asking.containers / "alpha/main.py").write_text("print('changed')\n")
    changed, same = uris(asking.ask(asking.event("Update")))
    assert (changed != alpha, same) == (True, beta)
    assert len(asking.builds()) == 3

    uris(asking.ask(asking.event("Update", BaseImage="mirror/python:3.13-slim")))
    assert len(asking.builds()) == 5


def test_the_base_image_reaches_the_build(asking: CloudFormation) -> None:
    asking.make_project(
        GOOD.replace("    commands:", '    commands:\n      - test "$BASE_IMAGE" = mirror/python:3.13-slim')
    )
    uris(asking.ask(asking.event(BaseImage="mirror/python:3.13-slim")))
    (asking.containers / "common/main.py").write_text("changed")
    assert asking.ask()["Status"] == "FAILED"


@pytest.mark.parametrize(
    ("failing", "command"),
    [
        pytest.param(("beta",), 'test "$IMAGE" = alpha', id="one image"),
        pytest.param(("alpha", "beta"), "exit 1", id="both images"),
    ],
)
def test_a_failure_names_each_image_its_phase_and_its_log(
    asking: CloudFormation, failing: tuple[str, ...], command: str
) -> None:
    asking.make_project(GOOD.replace("    commands:", f"    commands:\n      - {command}"))
    answer = asking.ask()
    assert answer["Status"] == "FAILED"
    for image in IMAGES:
        sentence = (
            f"{image} FAILED in phase BUILD: Error while executing command: {command}. Reason: exit status 1 (log: "
        )
        assert (sentence in answer["Reason"]) == (image in failing)
    assert answer["Reason"].count("#logsV2:log-groups/log-group/%2Faws%2Fcodebuild%2F") == len(failing)
    # What could be built is there, and is not built again once the other is mended.
    before = len(asking.builds())
    boto3.client("codebuild").delete_project(name=asking.project)
    asking.make_project(GOOD)
    uris(asking.ask())
    assert before == 2
    assert len(asking.builds()) == len(failing)


def test_builds_that_outlast_the_function_are_waited_for_by_another_invocation(asking: CloudFormation) -> None:
    asking.make_project(GOOD)
    echo = create_function(f"later-{asking.project}", ECHO)
    assert asking.ask(seconds=0, function=echo) == {}
    later = printed(f"/aws/lambda/later-{asking.project}")
    assert set(later["Progress"]["builds"]) == set(IMAGES)
    uris(asking.ask(later))
    assert len(asking.builds()) == 2


def create_function(name: str, code: str) -> str:
    """Create a function from the text of its module; return its ARN."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", code)
    created = boto3.client("lambda").create_function(
        FunctionName=name,
        Role=ROLE,
        Runtime="python3.13",
        Handler="app.handler",
        Timeout=20,
        Code={"ZipFile": archive.getvalue()},
    )
    return str(created["FunctionArn"])


def printed(group: str) -> dict[str, Any]:
    """Wait for the event that a function printed."""
    logs = boto3.client("logs")

    def events() -> list[str]:
        groups = [found["logGroupName"] for found in logs.describe_log_groups()["logGroups"]]
        found = logs.filter_log_events(logGroupName=group)["events"] if group in groups else []
        return [event["message"] for event in found if event["message"].startswith('{"RequestType"')]

    return dict(json.loads(wait_for(events, bool)[0]))


def test_when_time_runs_out_the_answer_says_what_to_do(asking: CloudFormation, monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.build_images import app

    monkeypatch.setattr(app, "GIVE_UP_SECONDS", 0)
    asking.make_project(GOOD.replace("    commands:", "    commands:\n      - sleep 600"))
    answer = asking.ask()
    assert answer["Status"] == "FAILED"
    assert "alpha, beta not ready" in answer["Reason"]
    assert f"project {asking.project} in CodeBuild, then deploy again" in answer["Reason"]
    for build in asking.builds():
        boto3.client("codebuild").stop_build(id=build)


def limit_builds(region: Stack, *, after: int, times: int) -> None:
    """Let some builds start, then refuse some as AWS does."""
    region.order_fault(
        service="codebuild",
        operation="StartBuild",
        error="AccountLimitExceededException",
        message="Cannot have more than 1 builds in queue for the account",
        status=400,
        after=after,
        times=times,
    )


def test_an_account_without_room_for_all_builds_gets_them_one_after_the_other(
    region: Stack, asking: CloudFormation
) -> None:
    asking.make_project(GOOD)
    limit_builds(region, after=1, times=2)
    uris(asking.ask())
    assert len(asking.builds()) == 2


def test_an_account_that_may_run_no_builds_is_told_what_to_ask_for(
    region: Stack, asking: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.build_images import app

    monkeypatch.setattr(app, "NO_ROOM_SECONDS", 0)
    asking.make_project(GOOD)
    limit_builds(region, after=0, times=2)
    answer = asking.ask()
    assert answer["Status"] == "FAILED"
    assert "Cannot have more than 1 builds in queue for the account. Ask for the quota" in answer["Reason"]


def test_deleting_takes_the_sources_away_and_builds_nothing(asking: CloudFormation) -> None:
    asking.make_project(GOOD)
    uris(asking.ask())
    s3 = boto3.client("s3")
    s3.put_object(Bucket=BUCKET, Key="runs/kept", Body=b"kept")
    answer = asking.ask(asking.event("Delete") | {"PhysicalResourceId": "visitcast-images"})
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "visitcast-images")
    assert [item["Key"] for item in s3.list_object_versions(Bucket=BUCKET)["Versions"]] == ["runs/kept"]
    assert len(asking.builds()) == 2


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        pytest.param(f"{REGISTRY}/brought/along:1", "", id="there"),
        pytest.param(f"{REGISTRY}/brought/along:2", "BetaImageUri names {uri}, which does not exist", id="no such tag"),
        pytest.param(f"{REGISTRY}/brought/nothing:1", "which does not exist. Push it first", id="no such repository"),
        pytest.param(f"{REGISTRY}/brought/along@sha256:{'0' * 64}", "does not exist", id="no such digest"),
        pytest.param(REGISTRY.replace("123456789012", "999999999999") + "/their:1", "", id="another account's"),
        pytest.param("python:3.13-slim", "not an image of an ECR registry", id="another registry's"),
    ],
)
def test_an_image_brought_along_must_exist(asking: CloudFormation, uri: str, reason: str) -> None:
    asking.make_project(GOOD)
    ecr = boto3.client("ecr")
    try:
        ecr.create_repository(repositoryName="brought/along")
    except ecr.exceptions.RepositoryAlreadyExistsException:
        pass
    else:
        manifest = json.dumps(
            {"schemaVersion": 2, "layers": [], "mediaType": "application/vnd.oci.image.manifest.v1+json"}
        )
        ecr.put_image(repositoryName="brought/along", imageTag="1", imageManifest=manifest)
    answer = asking.ask(asking.event(Project="", Images={"alpha": f"{REGISTRY}/brought/along:1", "beta": uri}))
    assert answer["Status"] == ("FAILED" if reason else "SUCCESS"), answer
    assert reason.format(uri=uri) in answer["Reason"]
    if not reason:
        assert uris(answer) == (f"{REGISTRY}/brought/along:1", uri)
    assert asking.builds() == []
