"""Refuses requests that AWS refuses because of the model of the service.

moto's routers and parsers tell the operation and its parameters; they are those that moto's own answers begin with.

Not covered: requests without a signature in the header (presigned URLs, function URLs), services that botocore does not
have, CBOR, unknown members in the query protocol and in XML, and types in XML, headers and query strings.
"""

from __future__ import annotations

import gzip
import io
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from http.client import responses
from typing import Any

from botocore.model import Shape, StructureShape

from localaws.api_model.constraints import summary, violations
from localaws.api_model.json_types import NUMBERS, Mismatch, fits_type, mismatches, wire_name
from localaws.wsgi import read_body, scope

SIGNED_AS = {
    "eventbridge": "events",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
"""Name in botocore of services that sign their requests with another name."""

ERROR_CODES = {
    "athena": "InvalidRequestException",
    "codebuild": "InvalidInputException",
    "ecr": "InvalidParameterException",
    "logs": "InvalidParameterException",
    "s3": "InvalidArgument",
    "sagemaker-runtime": "ValidationError",
    "sns": "ValidationError",
    "cloudwatch": "ValidationError",
}
"""Error of a violated constraint by service.

Other services have ValidationError in the query protocol and ValidationException in JSON.
"""


class RequestCheck:
    """WSGI middleware that answers requests which violate the model of their service."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        refusal = check(environ)
        if refusal is None:
            return self.app(environ, start_response)
        status, headers, body = refusal
        text = body.encode() if environ["REQUEST_METHOD"] != "HEAD" else b""
        headers = {**headers, "Content-Length": str(len(text)), "x-amzn-RequestId": str(uuid.uuid4())}
        start_response(f"{status} {responses.get(status, 'Status')}", list(headers.items()))
        return [text]


class RequestRefusedError(Exception):
    """AWS refuses a request: the code of the error, and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


def check(environ: dict[str, Any]) -> tuple[int, dict[str, str], str] | None:
    """Return status, headers and body of the answer to a request that the model refuses, else None."""
    from moto.core.request import Request, determine_request_protocol
    from moto.core.routing import get_service_router
    from moto.core.serialize import get_serializer_class
    from werkzeug.exceptions import NotFound

    signed = scope(environ)
    service = _service(signed.service, environ.get("PATH_INFO", "")) if signed else ""
    if not service or "HTTP_TRANSFER_ENCODING" in environ:  # then its length is unknown, and so is its end
        return None
    # The path and the headers tell the operation of S3, whose objects are too large to be read here.
    body = b"" if service == "s3" else read_body(environ)
    try:
        operation, uri_parameters = get_service_router(service).match(_request(Request, environ, body))
        model = operation.service_model
        protocol = determine_request_protocol(model, environ.get("CONTENT_TYPE", ""))
    except (NotFound, NotImplementedError):
        return None  # moto answers
    shape = operation.input_shape
    if shape is None:
        return None
    if service == "s3" and _has_document(shape):
        body = read_body(environ)
    try:
        _check(shape, service, protocol, operation, _request(Request, environ, body), body, uri_parameters)
    except RequestRefusedError as refused:
        serializer = get_serializer_class(model.service_name, protocol)(operation_model=operation)
        answer: Any = serializer.serialize(refused)
        return answer["status_code"], answer["headers"], answer["body"]
    return None


def _check(
    shape: StructureShape,
    service: str,
    protocol: str,
    operation: Any,
    request: Any,
    body: bytes,
    uri_parameters: dict[str, Any],
) -> None:
    from moto.core.parse import PROTOCOL_PARSERS, RequestParserError

    code = ERROR_CODES.get(service, "ValidationError" if protocol == "query" else "ValidationException")
    payload: str = shape.serialization.get("payload", "")
    plain = _plain(body, request.headers.get("Content-Encoding"))
    if protocol in ("json", "rest-json") and plain and not _is_text(shape.members.get(payload)):
        _check_json(plain, shape.members[payload] if payload else shape, code)
    try:
        parsed = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": plain,
                "url_path": request.path,
                "url_params": uri_parameters,
            }
        )
    except (RequestParserError, AttributeError, KeyError, TypeError, ValueError) as error:
        if protocol == "query":
            raise RequestRefusedError("MalformedInput", f"A parameter has a wrong type: {error}") from None
        return  # moto parses it anew and answers
    if _is_text(shape.members.get(payload)):
        parsed[payload] = plain  # an object or a function's event, which may be empty
    if found := violations(parsed, shape):
        if service == "s3" and payload and not _is_text(shape.members[payload]):
            raise RequestRefusedError(
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema: "
                + summary(found),
            )
        raise RequestRefusedError(code, summary(found))


def _check_json(body: bytes, shape: Shape, code: str) -> None:
    try:
        document = json.loads(body)
    except ValueError:
        raise RequestRefusedError("SerializationException", "The body is not JSON.") from None
    for mismatch in mismatches(document, shape, fits_type, _body_name):
        if mismatch.shape is None:
            raise RequestRefusedError(code, _unknown(mismatch))
        raise RequestRefusedError("SerializationException", _wrong_type(mismatch.value, mismatch.shape))


def _unknown(mismatch: Mismatch) -> str:
    return f'Unknown parameter in input: "{mismatch.field}", must be one of: {", ".join(filter(None, mismatch.known))}'


def _wrong_type(value: Any, shape: Shape) -> str:
    """Return the message of a wrong type, as the JSON protocols of AWS have it."""
    if isinstance(value, Mapping):
        return "Start of structure or map found where not expected."
    if isinstance(value, list):
        return "Start of list found where not expected"
    if shape.type_name in ("structure", "map", "list"):
        return f"Expected {'list' if shape.type_name == 'list' else 'map'} or null"
    token = str(value).upper() if isinstance(value, bool) else "STRING" if isinstance(value, str) else "NUMBER"
    return f"{token}_VALUE can not be converted to {NUMBERS.get(shape.type_name, shape.type_name.title())}"


def _body_name(name: str, shape: Shape) -> str:
    """Return the name of a member in a JSON body; empty for one that is elsewhere in the request."""
    return "" if "location" in shape.serialization else wire_name(name, shape)


def _service(signed_for: str, path: str) -> str:
    """Return the name in botocore of the service that a request is signed for. Return an empty text if unknown."""
    if signed_for == "sagemaker" and path.endswith("/invocations"):
        return "sagemaker-runtime"
    if signed_for == "s3" and path.startswith("/v20180820/"):
        return "s3control"
    name = SIGNED_AS.get(signed_for, signed_for)
    return name if name in _services() else ""


@lru_cache(maxsize=1)
def _services() -> frozenset[str]:
    from moto.core.loaders import create_loader

    return frozenset(create_loader().list_available_services("service-2"))


def _request(kind: Any, environ: dict[str, Any], body: bytes) -> Any:
    """Return a request of its own, so that reading it leaves the application's as it is."""
    return kind({**environ, "wsgi.input": io.BytesIO(body)})


def _is_text(shape: Shape | None) -> bool:
    return shape is not None and shape.type_name in ("blob", "string")


def _has_document(shape: StructureShape) -> bool:
    payload = shape.serialization.get("payload")
    return payload is not None and not _is_text(shape.members[payload])


def _plain(body: bytes, encoding: str | None) -> bytes:
    return gzip.decompress(body) if encoding == "gzip" and body[:2] == b"\x1f\x8b" else body
