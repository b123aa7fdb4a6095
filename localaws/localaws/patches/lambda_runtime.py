"""Patches of moto's Lambda."""

from __future__ import annotations

from localaws.patches import Patch, replaced_by
from localaws.settings import Settings


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    from localaws.lambda_runtime.backend import LocalLambda

    LocalLambda.settings = settings
    return [
        Patch(
            "moto.awslambda_simple.models:lambda_simple_backends.backend",
            "Functions do not run without Docker.",
            replaced_by(LocalLambda),
        )
    ]
