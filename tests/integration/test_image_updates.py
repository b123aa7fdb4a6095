"""What a deployment does about images: changed ones are built, missing ones refused, and deleting leaves none."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import boto3
from deployed_stack import ROOT, EmptyRegion
from iam_stack import read_stack
from judged_roles import require_allowed
from region_control import order_fault
from sam_commands import pack, sam, sam_deploy

from functions.build_images.sources import image_tag

STACK = "visitcast-images"
BASE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/cache/library/python:3.13-slim"
PARAMETERS = {"Environment": "images", "LogRetentionDays": "1", "BaseImage": BASE}
IMAGES = ("preprocessing", "sending", "serving", "training")
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def uris() -> dict[str, str]:
    """Return the images that the two state machines run, by name."""
    machines = boto3.client("stepfunctions")
    definitions = [
        machines.describe_state_machine(stateMachineArn=machine["stateMachineArn"])["definition"]
        for machine in machines.list_state_machines()["stateMachines"]
    ]
    found = set(re.findall(r"\d{12}\.dkr\.ecr\.[^\"]+", " ".join(definitions)))
    return {uri.rpartition("/")[2].partition(":")[0]: uri for uri in found}


def builds() -> int:
    """Return how many builds the region has run, for whatever stack."""
    return len(boto3.client("codebuild").list_builds()["ids"])


def repositories() -> list[str]:
    ecr: Any = boto3.client("ecr")
    return sorted(found["repositoryName"] for found in ecr.describe_repositories()["repositories"])


def pulled() -> str:
    """Return the repository that builds may pull their base image from."""
    (role,) = (role for role in read_stack(STACK).roles if role.name == "ImageBuildsRole")
    (statement,) = (
        statement
        for policy in role.policies
        for statement in policy["Statement"]
        if statement.get("Sid") == "PullTheBaseImage"
    )
    return statement["Resource"]


def reason() -> str:
    """Return why the custom resource failed."""
    events = boto3.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    failed = [e for e in events if e["LogicalResourceId"] == "BuiltImages" and e["ResourceStatus"].endswith("FAILED")]
    return failed[0]["ResourceStatusReason"]


def test_a_first_deployment_that_fails_leaves_nothing(empty_region: EmptyRegion) -> None:
    fault = {"service": "codebuild", "operation": "StartBuild", "error": "InvalidInputException", "status": 400}
    order_fault(empty_region.home, **fault)
    printed = sam_deploy(empty_region.build, "local", PARAMETERS, "--stack-name", STACK, succeeds=False)
    assert "ROLLBACK_COMPLETE" in printed
    assert "InvalidInputException" in reason()
    assert repositories() == []
    buckets = [found["Name"] for found in boto3.client("s3").list_buckets()["Buckets"]]
    assert not any(name.startswith(f"{STACK}-") for name in buckets)
    sam("delete", "--stack-name", STACK, "--region", os.environ["AWS_REGION"], "--no-prompts")


def test_images_follow_their_sources(empty_region: EmptyRegion, tmp_path: Path) -> None:
    build = shutil.copytree(empty_region.build, tmp_path / "build")
    before = builds()
    sam_deploy(build, "local", PARAMETERS, "--stack-name", STACK)
    first = uris()
    assert first == {
        name: f"{REGISTRY}/visitcast-images/{name}:{image_tag(ROOT / 'containers', name, BASE)}" for name in IMAGES
    }
    assert builds() == before + 4
    assert pulled() == "arn:aws:ecr:eu-central-1:123456789012:repository/cache/library/python"

    function = build / "BuildImagesFunction"
    with (function / "containers/serving/requirements.txt").open("a") as file:
        file.write("\n# changed\n")
    pack(function)
    sam_deploy(build, "local", PARAMETERS, "--stack-name", STACK)
    second = uris()
    assert {name for name in IMAGES if second[name] != first[name]} == {"serving"}
    assert builds() == before + 5
    require_allowed(read_stack(STACK), empty_region.home, "images-built")

    # Images of one's own: first with a tag that does not exist, then without the mistake.
    ecr: Any = boto3.client("ecr")
    ecr.create_repository(repositoryName="team/training")
    manifest = json.dumps({"schemaVersion": 2, "layers": [], "mediaType": "application/vnd.oci.image.manifest.v1+json"})
    ecr.put_image(repositoryName="team/training", imageTag="good", imageManifest=manifest)
    own = {f"{name.title()}ImageUri": f"{REGISTRY}/team/training:good" for name in IMAGES}
    wrong = own | {"ServingImageUri": f"{REGISTRY}/team/training:bad"}
    sam_deploy(build, "local", PARAMETERS | wrong, "--stack-name", STACK, succeeds=False)
    assert f"ServingImageUri names {REGISTRY}/team/training:bad, which does not exist. Push it first" in reason()
    assert uris() == second

    sam_deploy(build, "local", PARAMETERS | own, "--stack-name", STACK)
    assert set(uris().values()) == {f"{REGISTRY}/team/training:good"}
    assert repositories() == ["team/training"]
    assert builds() == before + 5

    sam("delete", "--stack-name", STACK, "--region", os.environ["AWS_REGION"], "--no-prompts")
    assert boto3.client("codebuild").list_projects()["projects"] == []
    ecr.delete_repository(repositoryName="team/training", force=True)
