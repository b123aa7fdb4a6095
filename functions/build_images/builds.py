"""Builds of the CodeBuild project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from aws_lambda_powertools import Logger

codebuild = boto3.client("codebuild")
logger = Logger(service="build_images", child=True)

MESSAGE_CHARACTERS = 300
"""Longest message of a failed phase. A response to CloudFormation holds 4,096 bytes, and the log's link must fit."""


class BuildFailed(Exception):
    """Images were not built; the message names each with its log."""


class NoRoom(Exception):
    """The account has as many builds as its quota allows."""


def start(project: str, variables: Mapping[str, str], source: str, token: str) -> str:
    """Start a build.

    Parameters
    ----------
    variables
        Environment of the build.
    source
        ``<bucket>/<key>`` of the zip archive.
    token
        Idempotency token: the same token returns the same build.

    Returns
    -------
    str
        The build's id.

    Raises
    ------
    NoRoom
        The account allows no further build yet.
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
    """Describe in one sentence which phase of a build failed, why, and where its log is."""
    phase, message = "before its first phase", ""
    for found in build.get("phases", []):
        if found.get("phaseStatus", "SUCCEEDED") != "SUCCEEDED":
            contexts = [context.get("message", "") for context in found.get("contexts", [])]
            phase, message = f"in phase {found['phaseType']}", " ".join(filter(None, contexts))
            break
    cause = f": {message[:MESSAGE_CHARACTERS]}" if message else ""
    return f"{image} {build['buildStatus']} {phase}{cause} (log: {build['logs'].get('deepLink', 'none')})"
