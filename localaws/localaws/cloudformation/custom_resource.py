"""Custom resources: the deployed function is invoked and sends its response by an HTTP PUT, as on AWS.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from localaws.cloudformation.resource import Handled, Request, ResourceError, ResourceType

RESPONSE_PATH = "/_localaws/cloudformation/response"
MAX_RESPONSE_BYTES = 4096

_responses: dict[str, dict[str, Any]] = {}
_lock = threading.Lock()


def receive(method: str, query: str, body: bytes) -> tuple[int, Any]:
    """Receive a response at a ResponseURL, whose query string is the id of the request."""
    with _lock:
        if query not in _responses:
            return 403, {"message": "This ResponseURL is unknown or has been used."}
        if method != "PUT":
            return 405, {"message": "Send the response with PUT."}
        if len(body) > MAX_RESPONSE_BYTES:
            _responses[query] = {"Status": "FAILED", "Reason": "Response object is too long."}
            return 200, {}
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        _responses[query] = (
            answer if isinstance(answer, dict) else {"Status": "FAILED", "Reason": "Invalid Response object: not JSON"}
        )
    return 200, {}


class RefusedError(ResourceError):
    """The function responded with FAILED. It may have created a part of the resource."""

    def __init__(self, message: str, physical_id: str) -> None:
        super().__init__(message)
        self.physical_id = physical_id


def create(request: Request) -> Handled:
    """Send a Create request and, if it fails, a Delete request as AWS does."""
    try:
        return _ask(request, "Create")
    except RefusedError as error:
        if error.physical_id:
            with suppress(ResourceError):
                _ask(request, "Delete", error.physical_id)
        raise


def update(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    """Send an Update request. If the physical id changes, CloudFormation deletes the old resource."""
    return _ask(request, "Update", current.physical_id, {"OldResourceProperties": _as_text(dict(old_properties))})


def delete(request: Request, physical_id: str) -> None:
    """Send a Delete request."""
    _ask(request, "Delete", physical_id)


def _ask(request: Request, kind: str, physical_id: str | None = None, more: Mapping[str, Any] | None = None) -> Handled:
    request_id = str(uuid4())
    event = {
        "RequestType": kind,
        "ServiceToken": request.properties["ServiceToken"],
        "ResponseURL": f"{request.settings.endpoint_url}{RESPONSE_PATH}?{request_id}",
        "StackId": request.stack_id,
        "RequestId": request_id,
        "LogicalResourceId": request.logical_id,
        "ResourceType": request.type_name,
        **({"PhysicalResourceId": physical_id} if physical_id else {}),
        "ResourceProperties": _as_text(dict(request.properties)),
        **(more or {}),
    }
    with _lock:
        _responses[request_id] = {}
    try:
        # AWS waits up to an hour for the response, whether or not the function has ended. Here none can come after the
        # function and its asynchronous invocations of itself have ended.
        function = request.properties["ServiceToken"]
        invocation = request.call("lambda", "invoke", FunctionName=function, Payload=json.dumps(event).encode())
        _wait_for_later_invocations(request, function, request_id)
    finally:
        with _lock:
            answer = _responses.pop(request_id)
    if not answer:
        detail = invocation["Payload"].read().decode("utf-8", "replace")
        raise ResourceError(
            f"CloudFormation did not receive a response from your Custom Resource: the function ended with {detail}. "
            f"Please check your logs for requestId [{request_id}]."
        )
    if answer.get("Status") != "SUCCESS":
        raise RefusedError(
            f"Received response status [{answer.get('Status')}] from custom resource. "
            f"Message returned: {answer.get('Reason', '')} (RequestId: {request_id})",
            physical_id=str(answer.get("PhysicalResourceId") or ""),
        )
    answered_id = answer.get("PhysicalResourceId")
    if not isinstance(answered_id, str) or not answered_id:
        raise ResourceError("Invalid PhysicalResourceId: the response has none.")
    return Handled(answered_id, answer.get("Data") or {})


def _wait_for_later_invocations(request: Request, function: str, request_id: str) -> None:
    from moto.awslambda.utils import get_backend

    backend: Any = get_backend(request.account_id, request.region)
    end = time.monotonic() + int(request.properties.get("ServiceTimeout", 3600))
    while not _responses[request_id] and backend.works_asynchronously(function) and time.monotonic() < end:
        time.sleep(0.05)


def _as_text(value: Any) -> Any:
    """Return a value with numbers and booleans as text, as CloudFormation sends properties to functions."""
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else str(value)


TYPE = ResourceType(
    name="AWS::CloudFormation::CustomResource",
    create=create,
    update=update,
    delete=delete,
    replaced_by=frozenset({"ServiceToken"}),
)
