"""Patches of moto's IAM."""

from __future__ import annotations

from localaws.patches import Patch, replaced_by
from localaws.settings import Settings


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    del settings
    from localaws.iam_simulation import LocalIamResponse

    return [
        Patch(
            "moto.iam.urls:url_paths",
            "SimulatePrincipalPolicy is missing.",
            replaced_by({"{0}/$": LocalIamResponse.dispatch}),
        )
    ]
