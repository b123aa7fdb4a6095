"""The handler that deletes what the workflow made, where SageMaker does not let it at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from handlers_in_moto import handler_module

STACK = "visitcast-dev"
REFUSAL = 'Cannot update in-progress endpoint "visitcast-dev".'


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The handler's module in a region with an endpoint of the stack and one of another."""
    with handler_module(monkeypatch, "remove_leftovers", "s3", "sagemaker") as app:
        monkeypatch.setattr(app, "SECONDS_BETWEEN_LOOKS", 0)
        image = {"Image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/visitcast-dev/serving:1"}
        role = "arn:aws:iam::123456789012:role/any"
        app.sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=image)
        variant: Any = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.t2.medium"}
        app.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
        for name, stack in (("visitcast-dev", STACK), ("theirs", "another")):
            tags: Any = [{"Key": "visitcast:stack", "Value": stack}]
            app.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="c", Tags=tags)
        yield app


def refuse(app: Any, *errors: str) -> list[str]:
    """Let SageMaker answer the next deletions of endpoints with these errors; return those that are left."""
    left = list(errors)

    def answer(**_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        if not left:
            return None
        error = {"Code": left.pop(0), "Message": REFUSAL}
        return AWSResponse("", 400, {}, None), {"Error": error, "ResponseMetadata": {}}

    app.sagemaker.meta.events.register("before-call.sagemaker.DeleteEndpoint", answer)
    return left


def endpoints(app: Any) -> list[str]:
    return [found["EndpointName"] for found in app.sagemaker.list_endpoints()["Endpoints"]]


def test_an_endpoint_that_is_being_updated_is_deleted_when_it_can_be(app: Any) -> None:
    left = refuse(app, "ValidationException", "ValidationException")
    app.remove_endpoints(STACK, math.inf)
    assert (left, endpoints(app)) == ([], ["theirs"])


def test_one_that_stays_so_until_time_is_up_is_named(app: Any) -> None:
    refuse(app, *["ValidationException"] * 1000)
    with pytest.raises(app.NotFinished, match="visitcast-dev"):
        app.remove_endpoints(STACK, 0)


def test_another_refusal_is_an_error(app: Any) -> None:
    refuse(app, "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        app.remove_endpoints(STACK, math.inf)
