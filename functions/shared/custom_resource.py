"""Responses of custom resources to CloudFormation.

CloudFormation waits up to an hour for a response, so every path must send one, failures included.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any


def respond(
    event: dict[str, Any],
    *,
    status: str,
    physical_resource_id: str,
    data: dict[str, str] | None = None,
    reason: str = "",
) -> None:
    """PUT the response to the presigned URL of the request.

    Parameters
    ----------
    event
        CloudFormation's request.
    status
        ``SUCCESS`` or ``FAILED``.
    physical_resource_id
        Id of the resource. If it changes, CloudFormation deletes the resource with the old id.
    data
        Values for ``Fn::GetAtt`` (at most 4,096 bytes in all).
    reason
        Shown in the stack's events on failure.
    """
    body = json.dumps(
        {
            "Status": status,
            "Reason": reason,
            "PhysicalResourceId": physical_resource_id,
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
            "Data": data or {},
        }
    ).encode()
    # The URL was signed without a content type.
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""})
    with urllib.request.urlopen(request, timeout=30):  # nosec B310 # the URL comes from CloudFormation
        pass
