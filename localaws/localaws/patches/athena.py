"""Patches of moto's Athena."""

from __future__ import annotations

from localaws.patches import Patch, replaced_by
from localaws.settings import Settings


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    from localaws.athena.api import LocalAthenaResponse
    from localaws.athena.backend import LocalAthenaBackend

    LocalAthenaBackend.settings = settings
    return [
        Patch(
            "moto.athena.models:athena_backends.backend",
            "Queries do not run.",
            replaced_by(LocalAthenaBackend),
        ),
        Patch(
            "moto.athena.urls:url_paths",
            "Operations on queries do not use the backend that runs them.",
            replaced_by({"{0}/$": LocalAthenaResponse.dispatch}),
        ),
    ]
