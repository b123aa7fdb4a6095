"""Service quotas: how many instances of a type may run at the same time for each use.

Names and message are those of AWS: https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from moto.sagemaker.exceptions import SagemakerClientError

from localaws.sagemaker.job import FINAL, PROCESSING, TRAINING, TRANSFORM, TUNING, Job, Kind

PLENTY = 1000
"""Quota of an instance type that the settings do not name."""

ENDPOINT = "endpoint usage"
INSTANCE_TYPES = {
    "processing job usage": "ProcessingInstanceType",
    "training job usage": "TrainingInstanceType",
    "spot training job usage": "TrainingInstanceType",
    "transform job usage": "TransformInstanceType",
    ENDPOINT: "ProductionVariantInstanceType",
}
"""Shape of the API with the instance types of each use."""


class ResourceLimitExceeded(SagemakerClientError):  # noqa: N818 - AWS's name
    """A request needs more instances than the quota allows."""

    code = "ResourceLimitExceeded"


def check(name: str, used: int, wanted: int, quotas: Mapping[str, int]) -> None:
    """Check a request against a quota.

    Parameters
    ----------
    name
        Name of the quota, such as ``ml.m5.xlarge for training job usage``.
    used, wanted
        Number of instances that run, and that are asked for.

    Raises
    ------
    ResourceLimitExceeded
        They are more than the quota.
    """
    quota = quotas.get(name, PLENTY)
    if used + wanted > quota:
        raise ResourceLimitExceeded(
            f"The account-level service limit '{name}' is {quota} Instances, with current utilization of {used} "
            f"Instances and a request delta of {wanted} Instances. Please use AWS Service Quotas to request an "
            "increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an "
            "increase for this quota."
        )


def of_job(kind: Kind, request: Mapping[str, Any]) -> tuple[str, int]:
    """Return the name of the quota that a job counts against, and the number of its instances."""
    if kind is TUNING:
        return of_job(TRAINING, request["TrainingJobDefinition"])
    cluster: Mapping[str, Any] = {
        PROCESSING: lambda: request["ProcessingResources"]["ClusterConfig"],
        TRAINING: lambda: request["ResourceConfig"],
        TRANSFORM: lambda: request["TransformResources"],
    }[kind]()
    spot = "spot " if kind is TRAINING and request.get("EnableManagedSpotTraining") else ""
    return f"{cluster.get('InstanceType')} for {spot}{kind.word} job usage", int(cluster.get("InstanceCount") or 0)


def in_use(name: str, kind: Kind, jobs: Mapping[str, Job]) -> int:
    """Return the number of instances that the jobs of a kind use of a quota."""
    running = [of_job(kind, job.request) for job in jobs.values() if kind is not TUNING and job.status not in FINAL]
    return sum(count for quota, count in running if quota == name)


def of_variants(variants: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    """Yield the quota and the number of instances of each variant of an endpoint that has instances."""
    for variant in variants:
        if kind := variant.get("InstanceType"):
            yield f"{kind} for {ENDPOINT}", int(variant.get("InitialInstanceCount") or 1)


def described(quotas: Mapping[str, int], region: str, account: str) -> list[dict[str, Any]]:
    """Return all quotas as the API of Service Quotas describes them, in the order of their names."""
    return [
        {
            "ServiceCode": "sagemaker",
            "ServiceName": "Amazon SageMaker",
            "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:sagemaker/{quota_code(name)}",
            "QuotaCode": quota_code(name),
            "QuotaName": name,
            "Value": float(quotas.get(name, PLENTY)),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
            "QuotaAppliedAtLevel": "ACCOUNT",
        }
        for name in sorted({*_names(), *quotas})
    ]


def quota_code(name: str) -> str:
    """Return the code of a quota. It has the form of AWS's codes, which are drawn and cannot be derived."""
    return f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    from moto.core.utils import get_service_model

    model = get_service_model("sagemaker")
    return frozenset(
        f"{instance_type} for {use}"
        for use, shape in INSTANCE_TYPES.items()
        for instance_type in model.shape_for(shape).enum  # type: ignore[attr-defined]
    )
