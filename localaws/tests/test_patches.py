"""All names of moto that localaws replaces or uses exist in the installed version."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from localaws.patches import Patch, requests
from localaws.services import PATCHES as MODULES
from localaws.settings import Settings

SETTINGS = Settings(region="eu-central-1", account_id="123456789012", port=1, home=Path("unused"))
PATCHES = [
    *requests.patches(),
    *(
        patch
        for module in sorted(set(MODULES.values()))
        for patch in importlib.import_module(f"localaws.patches.{module}").patches(SETTINGS)
    ),
]
PRIVATE = [
    "moto.athena.models:AthenaBackend.get_work_group",
    "moto.athena.models:WorkGroup.state",
    "moto.athena.responses:AthenaResponse.athena_backend",
    "moto.core.base_backend:BaseBackend._url_module",
    "moto.core.responses:BaseResponse.dispatch",
    "moto.core.responses:BaseResponse.use_raw_body",
    "moto.glue.models:GlueBackend.get_partitions",
    "moto.logs.models:LogGroup.put_log_events",
    "moto.s3.models:FakeKey.etag",
    "moto.s3.models:S3Backend.put_object",
    "moto.sagemaker.models:FakeEndpoint._process_production_variants",
    "moto.sagemaker.models:FakeEndpointConfig.validate_instance_type",
    "moto.sagemaker.models:SageMakerModelBackend._get_resource_from_arn",
    "moto.sagemaker.responses:SageMakerResponse.sagemaker_backend",
    "moto.sagemakerruntime.responses:SageMakerRuntimeResponse.invoke_endpoint",
]
"""Private names that localaws calls or overrides."""


@pytest.mark.parametrize("target", PRIVATE)
def test_a_private_name_exists_in_moto(target: str) -> None:
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


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.target)
def test_a_patched_name_exists_in_moto(patch: Patch) -> None:
    owner, name, _ = patch.locate()
    assert hasattr(owner, name)


def test_no_name_is_patched_twice() -> None:
    targets = [patch.target for patch in PATCHES]
    assert len(set(targets)) == len(targets)


def test_a_name_that_is_gone_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Patch("moto.cloudformation.models:Stack.no_such_name", "", lambda original: original).locate()


def test_applying_twice_wraps_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from localaws import patches

    monkeypatch.setattr(patches, "_applied", set())
    target = "moto.cloudformation.utils:random_suffix"
    original = Patch(target, "", lambda function: function).locate()[2]
    monkeypatch.setattr("moto.cloudformation.utils.random_suffix", original)
    patch = Patch(target, "", lambda function: lambda: f"wrapped {function()}")
    patch.apply()
    patch.apply()
    assert patch.locate()[2]().count("wrapped") == 1
