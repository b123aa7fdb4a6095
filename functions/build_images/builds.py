"""Builds of the CodeBuild project: start them, and tell how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from aws_lambda_powertools import Logger

codebuild = boto3.client("codebuild")
logger = Logger(service="build_images", child=True)

MESSAGE_CHARACTERS = 300
"""Of a failed phase's message: the answer to CloudFormation holds 4,096 bytes, and the log's link matters more."""


class BuildFailed(Exception):  # noqa: N818 (the name is what people read)
    """Images were not built; the text names each with its log."""


class NoRoom(Exception):  # noqa: N818 (the name is what people read)
    """The account already has as many builds as it may."""


def start(project: str, variables: Mapping[str, str], source: str, token: str) -> str:
    """Start a build.

    Parameters
    ----------
    variables
        Environment of the build.
    source
        ``<bucket>/<key>`` of the zip archive.
    token
        A repeated start with the same token gives the same build.

    Returns
    -------
    str
        The build's id.

    Raises
    ------
    NoRoom
        There is none for another build yet.
    """
    overrides: Any = [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()]
    try:
        build = codebuild.start_build(
            projectName=project,
            sourceLocationOverride=source,
            environmentVariablesOverride=overrides,
            idempotencyToken=token,
        )["build"]
    except codebuild.exceptions.AccountLimitExceededException as error:
        raise NoRoom(error.response["Error"]["Message"]) from error
    build_id: str = build["id"]
    logger.info("build started", extra={"build": build_id})
    return build_id


def look(build_ids: Sequence[str]) -> dict[str, Any]:
    """Return the descriptions of builds by their ids."""
    builds = codebuild.batch_get_builds(ids=list(build_ids))["builds"] if build_ids else []
    return {build["id"]: build for build in builds}


def failure(image: str, build: Mapping[str, Any]) -> str:
    """Say in one sentence which phase of a build failed with what, and where its log is."""
    phase, message = "before its first phase", ""
    for found in build.get("phases", []):
        if found.get("phaseStatus", "SUCCEEDED") != "SUCCEEDED":
            contexts = [context.get("message", "") for context in found.get("contexts", [])]
            phase, message = f"in phase {found['phaseType']}", " ".join(filter(None, contexts))
            break
    cause = f": {message[:MESSAGE_CHARACTERS]}" if message else ""
    return f"{image} {build['buildStatus']} {phase}{cause} (log: {build['logs'].get('deepLink', 'none')})"
