"""Which actions on which resources a request needs.

Actions, resources and condition keys are those of the Service Authorization Reference:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from localaws.iam_record import s3_calls
from localaws.iam_record.record import Call, active
from localaws.identity import acting_as, role_of
from localaws.settings import Settings
from localaws.wsgi import read_body, scope

Parameters = Mapping[str, Any]

SAGEMAKER_NAMES = {
    "TrainingJobName": "training-job",
    "ProcessingJobName": "processing-job",
    "TransformJobName": "transform-job",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelName": "model",
    "ModelPackageGroupName": "model-package-group",
}
"""Type of the resource that each parameter of SageMaker names."""

NAMELESS = "*"


class CallRecorder:
    """WSGI middleware that records the calls of roles and lets the region act as the caller while it answers."""

    def __init__(self, app: Callable[..., Iterable[bytes]], settings: Settings) -> None:
        self.app, self._settings = app, settings

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        signed = scope(environ)
        role = role_of(signed.key) if signed else ""
        with acting_as(role):
            if signed and role:
                active.add(calls(signed.service, environ, signed.region, self._settings.account_id))
            return self.app(environ, start_response)


def calls(service: str, environ: dict[str, Any], region: str, account: str) -> list[Call]:
    """Return the calls that a request needs permission for. `service` is the one that it is signed for."""
    path = unquote(environ.get("PATH_INFO", ""))
    if service == "s3":
        words = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        if environ["REQUEST_METHOD"] == "POST" and "delete" in words:
            return list(s3_calls.of_batch_deletion(path, read_body(environ)))
        return list(s3_calls.of_request(environ["REQUEST_METHOD"], path, words, environ))
    arn = f"arn:aws:{service}:{region}:{account}:"
    if service == "lambda" and path.endswith("/invocations"):
        function = path.split("/functions/")[1].removesuffix("/invocations")
        return [Call("lambda:InvokeFunction", function if ":" in function else f"{arn}function:{function}")]
    if service == "sagemaker" and path.endswith("/invocations"):
        return [Call("sagemaker:InvokeEndpoint", f"{arn}endpoint/{path.split('/')[2].lower()}")]
    operation, parameters = _operation(environ)
    service = {"monitoring": "cloudwatch"}.get(service, service)
    resources = RESOURCES.get(service)
    return list(resources(arn, operation, parameters) if resources else [Call(f"{service}:{operation}", NAMELESS)])


def _operation(environ: dict[str, Any]) -> tuple[str, Parameters]:
    """Return the operation and the parameters of a request in the JSON, query or RPC v2 CBOR protocol."""
    body = read_body(environ)
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return target.rpartition(".")[2], json.loads(body or b"{}")
    if named := re.search(r"/operation/(\w+)\Z", environ.get("PATH_INFO", "")):  # RPC v2
        return named.group(1), _cbor(body)
    words = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    return words.get("Action", ""), words


def _cbor(body: bytes) -> Parameters:
    """Parse CBOR with the SDK's parser, which is meant for responses but reads any document."""
    from botocore.parsers import RpcV2CBORParser

    reader: Any = RpcV2CBORParser()
    found = reader.parse_data_item(reader.get_peekable_stream_from_bytes(body)) if body else {}
    return found if isinstance(found, dict) else {}


def _sagemaker(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    action = f"sagemaker:{operation}"
    if operation.endswith("Tags"):
        yield Call(action, parameters["ResourceArn"])
        return
    if operation.startswith("List"):
        yield Call(action, NAMELESS)
        return
    # CreateTransformJob names a model as well, for which it needs no permission.
    asked_for = {"CreateTransformJob": ["TransformJobName"]}.get(operation, SAGEMAKER_NAMES)
    named = [
        f"{arn}{SAGEMAKER_NAMES[name]}/{str(parameters[name]).lower()}" for name in asked_for if name in parameters
    ]
    named += [parameters[name] for name in ("ModelPackageName", "ModelPackageArn") if name in parameters]
    if operation == "CreateModelPackage":  # needed for the new version as well as for its group
        named.append(f"{arn}model-package/{parameters.get('ModelPackageGroupName', '')}/*".lower())
    for resource in named or [NAMELESS]:
        # A policy may allow changes and deletions by the resource's tags.
        tags = _sagemaker_tags(resource) if operation.startswith(("Delete", "Update", "Stop")) else {}
        yield Call(action, resource, tags)
        if parameters.get("Tags"):
            yield Call("sagemaker:AddTags", resource)
    for name in ("RoleArn", "ExecutionRoleArn"):
        if name in parameters:
            yield Call("iam:PassRole", parameters[name], {"iam:PassedToService": "sagemaker.amazonaws.com"})


def _sagemaker_tags(arn: str) -> dict[str, str]:
    from moto.sagemaker.models import sagemaker_backends

    _, _, _, region, account, *_ = arn.split(":")
    try:
        tags, _ = sagemaker_backends[account][region].list_tags(arn)
    except Exception:  # noqa: BLE001 - what does not exist has no tags; the call itself reports it
        return {}
    return {f"aws:ResourceTag/{tag['Key']}": tag["Value"] for tag in tags}


def _athena(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    from moto.athena.models import athena_backends

    work_group = parameters.get("WorkGroup")
    if query := parameters.get("QueryExecutionId"):
        _, _, _, region, account, *_ = arn.split(":")
        execution: Any = athena_backends[account][region].executions.get(query)
        work_group = execution.work_group if execution else None
    yield Call(f"athena:{operation}", f"{arn}workgroup/{work_group or 'primary'}")


def _states(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    resource = parameters.get("stateMachineArn") or parameters.get("executionArn") or NAMELESS
    del arn
    yield Call(f"states:{operation}", resource)


def _logs(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    group, stream = parameters.get("logGroupName"), parameters.get("logStreamName")
    resource = f"{arn}log-group:{group}" + (f":log-stream:{stream}" if stream else ":*")
    yield Call(f"logs:{operation}", resource if group else NAMELESS)


def _cloudwatch(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    del arn
    namespace = parameters.get("Namespace")
    yield Call(f"cloudwatch:{operation}", NAMELESS, {"cloudwatch:namespace": namespace} if namespace else {})


def _sns(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    del arn
    yield Call(f"sns:{operation}", parameters.get("TopicArn", NAMELESS))


def _sqs(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    queue = str(parameters.get("QueueUrl", "")).rpartition("/")[2]
    # A batch needs the permission for the single call; it is not an action of its own.
    yield Call(f"sqs:{operation.removesuffix('Batch')}", f"{arn}{queue}" if queue else NAMELESS)


def _glue(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    database = parameters.get("DatabaseName")
    table = parameters.get("TableName") or parameters.get("Name")
    # A table also needs permission for its catalog and database.
    resources = ["catalog"]
    resources += [f"database/{database}"] if database else []
    resources += [f"table/{database}/{table}"] if database and table else []
    for resource in resources:
        yield Call(f"glue:{operation}", f"{arn}{resource}")


def _dynamodb(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    table = parameters.get("TableName")
    yield Call(f"dynamodb:{operation}", f"{arn}table/{table}" if table else NAMELESS)


def _codebuild(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    names = [parameters["projectName"]] if "projectName" in parameters else []
    names += [build.partition(":")[0] for build in parameters.get("ids", [])]
    for name in names or [NAMELESS]:
        yield Call(f"codebuild:{operation}", f"{arn}project/{name}" if names else NAMELESS)


def _kms(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    key = str(parameters.get("KeyId", ""))
    yield Call(f"kms:{operation}", (key if ":" in key else f"{arn}key/{key}") if key else NAMELESS)


def _ecr(arn: str, operation: str, parameters: Parameters) -> Iterator[Call]:
    repository = parameters.get("repositoryName")
    yield Call(f"ecr:{operation}", f"{arn}repository/{repository}" if repository else NAMELESS)


RESOURCES: dict[str, Callable[[str, str, Parameters], Iterator[Call]]] = {
    "sagemaker": _sagemaker,
    "athena": _athena,
    "states": _states,
    "logs": _logs,
    "cloudwatch": _cloudwatch,
    "sns": _sns,
    "sqs": _sqs,
    "glue": _glue,
    "dynamodb": _dynamodb,
    "codebuild": _codebuild,
    "ecr": _ecr,
    "kms": _kms,
}
"""Function that returns the calls of an operation with its parameters, by service."""
