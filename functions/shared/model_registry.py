"""The model package group of the stack: one version for every model that passed the gate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

APPROVED = "Approved"
"""Approval status of a version that may be in production."""

REJECTED = "Rejected"
"""Approval status of a version that the gate, a person or a failed deployment rejected."""

GATE_PASSED = "GatePassed"
"""Metadata property of a version: ``false`` if the gate rejected it."""

MODEL_NAME, ENDPOINT_CONFIG_NAME = "ModelName", "EndpointConfigName"
"""Metadata properties of a version: the SageMaker model and the endpoint config that the training workflow saved."""

ANCHOR_LEAD = "AnchorLead"
"""Metadata property of a version: the lead over the tuned histogram that the gate holds later models to, in nats."""


def listed_versions(sagemaker: Any, group: str, status: str = APPROVED) -> Iterator[dict[str, Any]]:
    """Yield the summaries of all versions of an approval status, the newest first.

    Versions are numbered in the order of their creation, which SageMaker can sort by.

    Parameters
    ----------
    sagemaker
        boto3 client.
    group
        Name or ARN of the model package group.
    status
        Approval status.
    """
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, ModelApprovalStatus=status, SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        yield from page["ModelPackageSummaryList"]
