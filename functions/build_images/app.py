"""Custom resource that builds the container images during `sam deploy`.

The function's bundle holds ``containers/``. The tag of an image is a digest of its content, so CodeBuild builds only
what the registry lacks, all images in parallel. A build may outlast the 15 minutes of a function, which then invokes
itself and continues.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.build_images import builds, registry
from functions.build_images.sources import image_tag, source_archive
from functions.shared.bundle import CONTAINERS
from functions.shared.custom_resource import respond
from functions.shared.object_versions import delete_versions

GIVE_UP_SECONDS = 3480
"""Two minutes before CloudFormation stops waiting (``ServiceTimeout``, at most an hour)."""
HAND_OVER_SECONDS = 30
"""Remaining time of the function at which it invokes itself."""
NO_ROOM_SECONDS = 600
"""How long to retry while the account allows no build to start; a new account may have a quota of zero."""
PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 15.0

logger = Logger(service="build_images")
s3 = boto3.client("s3")
functions = boto3.client("lambda")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Respond to CloudFormation when every image exists.

    Parameters
    ----------
    event
        CloudFormation's request. Its ``ResourceProperties`` are ``Images`` (for each image the URI of its repository or
        of a given image), ``Project`` (of CodeBuild; empty if images are given), ``Bucket`` and ``BaseImage``. The
        response's data hold ``<Image>ImageUri``. An invocation that continues another has ``Progress`` as well.
    context
        Lambda's context object.
    """
    physical_id = event.get("PhysicalResourceId", "visitcast-images")
    data: dict[str, str] = {}
    try:
        if event["RequestType"] == "Delete":
            # The repositories delete their images. Without the sources a failed first deployment can delete its bucket.
            deleted = sum(delete_versions(event["ResourceProperties"]["Bucket"], "images/"))
            logger.info("sources deleted", extra={"versions": deleted})
        else:
            progress = event.get("Progress") or begin(event)
            if not work(event, progress, context):
                go_on_later(event, progress, context)
                return
            data = {f"{image.title()}ImageUri": uri for image, uri in progress["uris"].items()}
    except Exception as error:  # without a response CloudFormation waits for an hour
        logger.exception("images not provided")
        respond(event, status="FAILED", physical_resource_id=physical_id, reason=f"Images not provided: {error}.")
        return
    respond(event, status="SUCCESS", physical_resource_id=physical_id, data=data)


def begin(event: dict[str, Any]) -> dict[str, Any]:
    """Find the images to build and upload their sources.

    Returns
    -------
    dict
        ``uris`` of all images, which of them are still ``waiting`` to be built, running ``builds`` by image, the
        ``source``, ``failures`` so far and the time to ``give_up``.
    """
    properties = event["ResourceProperties"]
    images: dict[str, str] = properties["Images"]
    progress: dict[str, Any] = {"uris": images, "waiting": [], "builds": {}, "failures": []}
    progress["give_up"] = time.time() + GIVE_UP_SECONDS
    if not properties["Project"]:
        _, _, _, region, account, *_ = event["StackId"].split(":")
        registry.require(images, account, region)
        return progress
    tags = {image: image_tag(CONTAINERS, image, properties["BaseImage"]) for image in images}
    progress["uris"] = {image: f"{repository}:{tags[image]}" for image, repository in images.items()}
    progress["waiting"] = [image for image, uri in progress["uris"].items() if not registry.has(uri)]
    if progress["waiting"]:
        archive = source_archive(CONTAINERS)
        key = f"images/{hashlib.sha256(archive).hexdigest()[:16]}/source.zip"
        s3.put_object(Bucket=properties["Bucket"], Key=key, Body=archive)
        progress["source"] = f"{properties['Bucket']}/{key}"
    logger.info("images to build", extra={"images": progress["waiting"], "tags": tags})
    return progress


def work(event: dict[str, Any], progress: dict[str, Any], context: LambdaContext) -> bool:
    """Start builds and wait for them; return whether all ended within the time of this invocation.

    Raises
    ------
    BuildFailed
        Some failed. No build is running any more.
    """
    pause = PAUSE_SECONDS
    while progress["waiting"] or progress["builds"]:
        start_waiting(event, progress)
        found = builds.look(list(progress["builds"].values()))
        for image, build_id in list(progress["builds"].items()):
            build = found[build_id]
            if build["buildStatus"] == "IN_PROGRESS":
                continue
            del progress["builds"][image]
            if build["buildStatus"] != "SUCCEEDED":
                progress["failures"].append(builds.failure(image, build))
                progress["waiting"] = []  # the deployment has failed: start no more
        if not progress["waiting"] and not progress["builds"]:
            break
        if time.time() > progress["give_up"]:
            late = ", ".join([*progress["builds"], *progress["waiting"]])
            raise builds.BuildFailed(
                f"{late} not ready after {GIVE_UP_SECONDS / 60:.0f} minutes. Look at project "
                f"{event['ResourceProperties']['Project']} in CodeBuild, then deploy again: what the registry has by "
                "then is not built again"
            )
        if context.get_remaining_time_in_millis() < HAND_OVER_SECONDS * 1000:
            return False
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
    if progress["failures"]:
        raise builds.BuildFailed("; ".join(progress["failures"]))
    return True


def start_waiting(event: dict[str, Any], progress: dict[str, Any]) -> None:
    """Start the waiting builds, as many as the account allows.

    Raises
    ------
    BuildFailed
        The account allows none.
    """
    properties = event["ResourceProperties"]
    while progress["waiting"]:
        image = progress["waiting"][0]
        variables = {"IMAGE": image, "IMAGE_URI": progress["uris"][image]}
        if properties["BaseImage"]:
            variables["BASE_IMAGE"] = properties["BaseImage"]
        token = f"{event['RequestId']}-{image}"
        try:
            build_id = builds.start(properties["Project"], variables, progress["source"], token)
        except builds.NoRoom as error:
            no_room_until = progress.setdefault("no_room_until", time.time() + NO_ROOM_SECONDS)
            if not progress["builds"] and time.time() > no_room_until:
                raise builds.BuildFailed(
                    f"the account lets no build start: {error}. Ask for the quota 'Concurrently running builds for "
                    "Linux/Medium environment' of CodeBuild, then deploy again"
                ) from error
            return
        progress.pop("no_room_until", None)
        progress["waiting"].remove(image)
        progress["builds"][image] = build_id


def go_on_later(event: dict[str, Any], progress: dict[str, Any], context: LambdaContext) -> None:
    """Continue in another invocation of this function."""
    logger.info("continuing in another invocation", extra={"builds": progress["builds"]})
    functions.invoke(
        FunctionName=context.invoked_function_arn,
        InvocationType="Event",
        Payload=json.dumps({**event, "Progress": progress}).encode(),
    )
