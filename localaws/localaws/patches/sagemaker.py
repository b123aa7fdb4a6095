"""Patches of moto's SageMaker."""

from __future__ import annotations

from typing import Any

from localaws.patches import Patch, replaced_by
from localaws.settings import Settings


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    from localaws.sagemaker.api import LocalSageMakerResponse
    from localaws.sagemaker.backend import LocalSageMakerBackend

    LocalSageMakerBackend.settings = settings
    return [
        Patch(
            "moto.sagemaker.models:sagemaker_backends.backend",
            "Jobs do not run and endpoints have no process.",
            replaced_by(LocalSageMakerBackend),
        ),
        Patch(
            "moto.sagemaker.urls:url_paths",
            "Operations on jobs and endpoints do not use the backend that runs them.",
            replaced_by({"{0}/$": LocalSageMakerResponse.dispatch}),
        ),
        Patch(
            "moto.sagemakerruntime.urls:url_paths",
            "InvokeEndpoint returns canned answers.",
            with_real_invocations,
        ),
    ]


def with_real_invocations(original: dict[str, Any]) -> dict[str, Any]:
    """Return the routes of the runtime API, with InvokeEndpoint going to the process of the endpoint."""
    from localaws.sagemaker.runtime_api import LocalSageMakerRuntimeResponse

    return {
        path: LocalSageMakerRuntimeResponse.dispatch if path.endswith("/invocations$") else handler
        for path, handler in original.items()
    }
