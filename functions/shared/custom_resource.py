"""Answer CloudFormation on behalf of a custom resource.

CloudFormation waits up to an hour for the answer, so every path must send one, failures too.
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
    """PUT the answer to the presigned address that came with the request.

    Parameters
    ----------
    event
        CloudFormation's request.
    status
        ``SUCCESS`` or ``FAILED``.
    physical_resource_id
        What the resource is called from now on; a changed one makes CloudFormation delete the old.
    data
        Values for ``Fn::GetAtt`` (at most 4,096 bytes in all).
    reason
        Shown in the stack's events when it failed.
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
    # An empty content type: the presigned address was signed without one.
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""})
    with urllib.request.urlopen(request, timeout=30):  # nosec B310 # the address comes from CloudFormation
        pass
