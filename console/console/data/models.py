"""Versions of the model registry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from console.data import runs
from console.data.objects import read_json
from console.data.stack import Stack, client

APPROVED, PENDING, REJECTED = "Approved", "PendingManualApproval", "Rejected"
SHOWN = 12
"""Versions side by side, the newest."""


@dataclass(frozen=True)
class Version:
    """A version of the registry.

    Attributes
    ----------
    number : int
    arn : str
    status : str
        `APPROVED`, `PENDING` or `REJECTED`.
    reason : str
        Why it has that status.
    created : datetime
    revision : str
        Of the source.
    run : str
        Execution that has registered it, its name.
    properties : dict of str
        ``CustomerMetadataProperties``.
    evaluation : dict
        evaluation.json; empty if it is gone.
    in_production : bool
        Whether it is the newest approved version.
    """

    number: int
    arn: str
    status: str
    reason: str
    created: datetime
    revision: str
    run: str
    properties: dict[str, str]
    evaluation: dict[str, Any]
    in_production: bool


def versions(stack: Stack) -> list[Version]:
    """List the newest versions, the newest first; none before the first model has passed the gate."""
    sagemaker = client("sagemaker")
    try:
        summaries = sagemaker.list_model_packages(
            ModelPackageGroupName=stack.group, SortBy="CreationTime", SortOrder="Descending", MaxResults=SHOWN
        )["ModelPackageSummaryList"]
    except ClientError as error:
        if "does not exist" in str(error) or error.response["Error"]["Code"] == "ResourceNotFound":
            return []
        raise
    production = next(
        (one["ModelPackageVersion"] for one in summaries if one.get("ModelApprovalStatus") == APPROVED), None
    )
    return [_version(summary["ModelPackageArn"], production) for summary in summaries]


def _version(arn: str, production: int | None) -> Version:
    found = client("sagemaker").describe_model_package(ModelPackageName=arn)
    metadata = found.get("MetadataProperties", {})
    uri = found.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {}).get("S3Uri", "")
    place = urlsplit(uri)
    number = found["ModelPackageVersion"]
    return Version(
        number=number,
        arn=arn,
        status=found["ModelApprovalStatus"],
        reason=found.get("ApprovalDescription", ""),
        created=found["CreationTime"],
        revision=metadata.get("CommitId", ""),
        run=metadata.get("GeneratedBy", "").rpartition(":")[2],
        properties=found.get("CustomerMetadataProperties", {}),
        evaluation=read_json(place.netloc, place.path.lstrip("/")) if uri else {},
        in_production=number == production,
    )


def decide(stack: Stack, number: int, status: str, reason: str) -> None:
    """Approve or reject a version; an approval starts its deployment."""
    client("sagemaker").update_model_package(
        ModelPackageArn=_arn(stack, number), ModelApprovalStatus=status, ApprovalDescription=reason
    )


def roll_back(stack: Stack, number: int) -> str:
    """Deploy a version that is approved; newer ones become rejected. Return the name of the execution."""
    return runs.start(stack, "train", {"ModelVersion": number})


def _arn(stack: Stack, number: int) -> str:
    group = client("sagemaker").describe_model_package_group(ModelPackageGroupName=stack.group)
    return f"{group['ModelPackageGroupArn'].replace(':model-package-group/', ':model-package/')}/{number}"
