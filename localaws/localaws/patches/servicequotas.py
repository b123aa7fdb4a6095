"""Patches of moto's Service Quotas."""

from __future__ import annotations

from localaws.patches import Patch, replaced_by
from localaws.settings import Settings


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    from localaws.sagemaker.quotas_api import LocalServiceQuotasResponse

    LocalServiceQuotasResponse.settings = settings
    return [
        Patch(
            "moto.servicequotas.urls:url_paths",
            "ListServiceQuotas and the quotas of SageMaker are missing.",
            replaced_by({"{0}/$": LocalServiceQuotasResponse.dispatch}),
        )
    ]
