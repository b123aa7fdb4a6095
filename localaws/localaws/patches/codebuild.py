"""Patches of moto's CodeBuild."""

from __future__ import annotations

from localaws.patches import Patch, replaced_by
from localaws.settings import Settings


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    from localaws.codebuild.backend import LocalCodeBuild, start_build

    LocalCodeBuild.settings = settings
    return [
        Patch(
            "moto.codebuild.models:codebuild_backends.backend",
            "Builds run nothing and always succeed.",
            replaced_by(LocalCodeBuild),
        ),
        Patch(
            "moto.codebuild.responses:CodeBuildResponse.start_build",
            "Overrides of the environment and the source are ignored.",
            replaced_by(start_build),
        ),
    ]
