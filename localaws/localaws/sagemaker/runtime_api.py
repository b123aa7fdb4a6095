"""The runtime API: InvokeEndpoint, which calls the process of the endpoint."""

from __future__ import annotations

import json
from typing import Any, cast
from urllib.parse import unquote

from moto.sagemaker.models import sagemaker_backends
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from localaws.sagemaker import serverless
from localaws.sagemaker.backend import LocalSageMakerBackend
from localaws.sagemaker.errors import JobError

PAYLOAD_LIMIT_BYTES = 25 * 1024 * 1024
"""Largest request of a real-time endpoint."""

Response = tuple[int, dict[str, str], bytes]

_PASSED_ON = {
    "Content-Type": "Content-Type",
    "Accept": "Accept",
    "X-Amzn-SageMaker-Custom-Attributes": "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-Inference-Id": "X-Amzn-SageMaker-Inference-Id",
}


class LocalSageMakerRuntimeResponse(SageMakerRuntimeResponse):
    """moto's runtime API with endpoints that answer."""

    use_raw_body = True

    def invoke_endpoint(self) -> Response:
        """Answer InvokeEndpoint."""
        name = unquote(self.path.split("/")[2])
        backend = cast(LocalSageMakerBackend, sagemaker_backends[self.current_account][self.region])
        host = backend.hosts.get(name)
        headers = {own: value for own, theirs in _PASSED_ON.items() if (value := self.headers.get(theirs))}
        limit = serverless.PAYLOAD_LIMIT_BYTES if host is not None and host.is_serverless else PAYLOAD_LIMIT_BYTES
        if len(self.body) > limit:
            return _error(413, "ValidationError", f"Request body is larger than {limit} bytes.")
        unknown = f"Endpoint {name} of account {self.current_account} not found."
        if host is None:
            return _error(400, "ValidationError", unknown)
        try:
            reply, variant = host.invoke(self.body, headers)
        except LookupError:
            return _error(400, "ValidationError", unknown)
        except JobError as error:
            return _model_error(name, "primary", 0, str(error))
        if reply.status != 200:
            return _model_error(name, variant, reply.status, reply.body.decode("utf-8", "replace"))
        return (
            200,
            {"Content-Type": reply.content_type, "x-Amzn-Invoked-Production-Variant": variant},
            reply.body,
        )


def _model_error(endpoint: str, variant: str, status: int, text: str) -> Response:
    """Return SageMaker's response for an error of the container, whose own message is OriginalMessage."""
    kind = "client" if 400 <= status < 500 else "server"
    return _error(
        424,
        "ModelError",
        f'Received {kind} error ({status}) from {variant} with message "{text[:1000]}". See '
        f"/aws/sagemaker/Endpoints/{endpoint} in CloudWatch Logs for more information.",
        OriginalStatusCode=status,
        OriginalMessage=text,
        LogStreamArn="",
    )


def _error(status: int, code: str, message: str, **details: Any) -> Response:
    body = json.dumps({"Message": message, "message": message, **details}).encode()
    # moto reads the status of a response from its headers.
    return status, {"status": str(status), "Content-Type": "application/json", "x-amzn-errortype": code}, body
