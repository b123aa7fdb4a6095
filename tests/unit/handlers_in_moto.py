"""A handler's module whose AWS is moto's, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import boto3
import pytest
from moto import mock_aws

BUCKET = "a-bucket"


@contextmanager
def handler_module(monkeypatch: pytest.MonkeyPatch, package: str, *services: str) -> Iterator[Any]:
    """Yield ``functions.<package>.app`` in a region that has only `BUCKET`; `services` are its clients' names."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        app = import_module(f"functions.{package}.app")
        for service in services:
            monkeypatch.setattr(app, service, boto3.client(service))
        app.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield app
