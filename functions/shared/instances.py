"""Instance types of SageMaker: which ones the images run on, and which ones take a volume key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

LOCAL_STORAGE = re.compile(r"ml\.(p[45][a-z]*|trn\d[a-z]*|g[4-9]\w*|[a-z]+\d+[a-z]*d[a-z]*)\.")
"""Instance families with local storage. SageMaker refuses a volume key for them; hardware encrypts the disk.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/InstanceStorage.html
"""

ARM = re.compile(r"ml\.[a-z]+\d+g")
"""Instance families with an ARM processor (Graviton): a g after the generation. The images are built for x86-64."""


def volume_key(instance_type: str, kms_key_arn: str) -> dict[str, str]:
    """Return the ``VolumeKmsKeyId`` of a job's instances; nothing where SageMaker takes none.

    >>> volume_key("ml.m5.xlarge", "arn"), volume_key("ml.g5.xlarge", "arn"), volume_key("ml.m5.xlarge", "")
    ({'VolumeKmsKeyId': 'arn'}, {}, {})
    """
    return {"VolumeKmsKeyId": kms_key_arn} if kms_key_arn and not LOCAL_STORAGE.match(instance_type) else {}


def job_cluster(resources: dict[str, Any], kms_key_arn: str, instances: int | None = None) -> dict[str, Any]:
    """Return a job's ResourceConfig or ClusterConfig.

    Parameters
    ----------
    resources
        ``InstanceType``, ``VolumeSizeInGB`` and, unless `instances` is given, ``InstanceCount``.
    kms_key_arn
        Key of the volumes; empty for SageMaker's own key.
    instances
        How many instances.

    >>> job_cluster({"InstanceType": "ml.g5.xlarge", "VolumeSizeInGB": 30}, "arn", 1)
    {'InstanceType': 'ml.g5.xlarge', 'InstanceCount': 1, 'VolumeSizeInGB': 30}
    """
    return {
        "InstanceType": resources["InstanceType"],
        "InstanceCount": instances or resources["InstanceCount"],
        "VolumeSizeInGB": resources["VolumeSizeInGB"],
        **volume_key(resources["InstanceType"], kms_key_arn),
    }


def unusable_types(execution_input: dict[str, Any]) -> Iterator[str]:
    """Name the instance types on which the images cannot run, each with its remedy."""
    for name, section in execution_input.items():
        instance_type = section.get("InstanceType", "") if isinstance(section, dict) else ""
        if ARM.match(instance_type):
            yield (
                f"{name}.InstanceType: {instance_type} has an ARM processor, and the images are built for x86-64; "
                "choose a type such as ml.m5.xlarge"
            )
