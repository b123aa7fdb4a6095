"""The private parts of moto that the engines rest on: each must still be where the pinned version has it."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

ATTRIBUTES = [
    "moto.athena.models:athena_backends.backend",
    "moto.athena.urls:url_paths",
    "moto.athena.responses:AthenaResponse.athena_backend",
    "moto.athena.models:AthenaBackend.get_work_group",
    "moto.athena.models:WorkGroup.state",
    "moto.core.responses:BaseResponse.use_raw_body",
    "moto.core.responses:BaseResponse.dispatch",
    "moto.core.base_backend:BaseBackend._url_module",
    "moto.glue.models:GlueBackend.get_partitions",
    "moto.logs.models:LogGroup.put_log_events",
    "moto.s3.models:S3Backend.put_object",
    "moto.s3.models:FakeKey.etag",
    "moto.sagemaker.models:sagemaker_backends.backend",
    "moto.sagemaker.models:FakeEndpoint._process_production_variants",
    "moto.sagemaker.models:FakeEndpointConfig.validate_instance_type",
    "moto.sagemaker.models:SageMakerModelBackend._get_resource_from_arn",
    "moto.sagemaker.responses:SageMakerResponse.sagemaker_backend",
    "moto.sagemaker.urls:url_paths",
    "moto.sagemakerruntime.urls:url_paths",
    "moto.sagemakerruntime.responses:SageMakerRuntimeResponse.invoke_endpoint",
]


@pytest.mark.parametrize("target", ATTRIBUTES)
def test_moto_still_has(target: str) -> None:
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    for name in path.split("."):
        owner = inspect.getattr_static(owner, name)


def test_objects_keep_their_content_in_a_buffer_behind_a_lock() -> None:
    from moto.s3.models import FakeKey

    key = FakeKey("k", b"content", "123456789012", "eu-central-1")
    with key.lock:
        key._value_buffer.seek(3)
        assert key._value_buffer.read(2) == b"te"


@pytest.mark.parametrize(
    ("module", "operations"),
    [
        ("athena", "start_query_execution get_query_execution get_query_results stop_query_execution"),
        ("sagemaker", "create_training_job create_processing_job create_transform_job list_training_jobs"),
    ],
)
def test_what_is_replaced_was_there(module: str, operations: str) -> None:
    response = {"athena": "AthenaResponse", "sagemaker": "SageMakerResponse"}[module]
    original = getattr(importlib.import_module(f"moto.{module}.responses"), response)
    replacement = getattr(importlib.import_module(f"localaws.{module}.api"), f"Local{response}")
    for operation in operations.split():
        assert getattr(replacement, operation) is not getattr(original, operation)
