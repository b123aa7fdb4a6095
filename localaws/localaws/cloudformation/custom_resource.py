"""Custom resources: the deployed function is asked for real, and answers by an HTTP PUT, as on AWS.

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
    """Take a function's answer at its ResponseURL; the query string is the id of the request."""
    with _lock:
        if query not in _responses:
            return 403, {"message": "This ResponseURL is unknown or has been used."}
        if method != "PUT":
            return 405, {"message": "Answers are PUT."}
        if len(body) > MAX_RESPONSE_BYTES:
            _responses[query] = {"Status": "FAILED", "Reason": "Response object is too long."}
            return 200, {}
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        _responses[query] = (
            answer if isinstance(answer, dict) else {"Status": "FAILED", "Reason": "Invalid Response object: no JSON"}
        )
    return 200, {}


class RefusedError(ResourceError):
    """The function answered FAILED, for a resource it may already have begun to make."""

    def __init__(self, message: str, physical_id: str) -> None:
        super().__init__(message)
        self.physical_id = physical_id


def create(request: Request) -> Handled:
    """Ask the function to create; as on AWS, a failed creation is followed by the request to delete."""
    try:
        return _ask(request, "Create")
    except RefusedError as error:
        if error.physical_id:
            with suppress(ResourceError):
                _ask(request, "Delete", error.physical_id)
        raise


def update(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
    """Ask the function to update; an answer with another physical id makes the old one due for deletion."""
    return _ask(request, "Update", current.physical_id, {"OldResourceProperties": _as_text(dict(old_properties))})


def delete(request: Request, physical_id: str) -> None:
    """Ask the function to delete."""
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
        # AWS does not look at the function's end, but waits up to an hour for its answer. Here there is none to wait
        # for once the function has ended, and with it every asynchronous invocation by which it went on.
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
        raise ResourceError("Invalid PhysicalResourceId: the function's answer has none.")
    return Handled(answered_id, answer.get("Data") or {})


def _wait_for_later_invocations(request: Request, function: str, request_id: str) -> None:
    from moto.awslambda.utils import get_backend

    backend: Any = get_backend(request.account_id, request.region)
    end = time.monotonic() + int(request.properties.get("ServiceTimeout", 3600))
    while not _responses[request_id] and backend.works_asynchronously(function) and time.monotonic() < end:
        time.sleep(0.05)


def _as_text(value: Any) -> Any:
    """Turn numbers and truth values into text: so CloudFormation hands properties to functions."""
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
