"""The permissions that a request needs: actions, resources and condition keys."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from localaws.iam_record.requests import calls

ACCOUNT, REGION = "123456789012", "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
DELETE = b"""<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Object><Key>a</Key></Object><Object><Key>b</Key><VersionId>7</VersionId></Object></Delete>"""


def needed(service: str, method: str, path: str, body: bytes = b"", query: str = "", **headers: str) -> set[Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **{f"HTTP_{name}": value for name, value in headers.items()},
    }
    found = {
        (call.action, call.resource, tuple(call.context.items())) for call in calls(service, environ, REGION, ACCOUNT)
    }
    assert environ["wsgi.input"].read() == body  # still readable for the application
    return found


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "expected"),
    [
        pytest.param("GET", "/b/k", "", {}, {("s3:GetObject", "arn:aws:s3:::b/k", ())}, id="get"),
        pytest.param("HEAD", "/b/k", "", {}, {("s3:GetObject", "arn:aws:s3:::b/k", ())}, id="head"),
        pytest.param(
            "DELETE", "/b/k", "versionId=1", {}, {("s3:DeleteObjectVersion", "arn:aws:s3:::b/k", ())}, id="a version"
        ),
        pytest.param(
            "GET",
            "/b",
            "versions",
            {},
            {("s3:ListBucketVersions", "arn:aws:s3:::b", (("s3:prefix", ""),))},
            id="versions",
        ),
        pytest.param(
            "GET",
            "/b",
            "list-type=2&prefix=p",
            {},
            {("s3:ListBucket", "arn:aws:s3:::b", (("s3:prefix", "p"),))},
            id="list",
        ),
        pytest.param(
            "PUT",
            "/b/k",
            "",
            {"X_AMZ_COPY_SOURCE": "/a/j"},
            {
                ("s3:GetObject", "arn:aws:s3:::a/j", ()),
                ("s3:GetObjectTagging", "arn:aws:s3:::a/j", ()),
                ("s3:PutObject", "arn:aws:s3:::b/k", ()),
            },
            id="copy",
        ),
    ],
)
def test_s3(method: str, path: str, query: str, headers: dict[str, str], expected: set[Any]) -> None:
    assert needed("s3", method, path, query=query, **headers) == expected


def test_a_batch_deletion_needs_each_object_or_version_and_leaves_the_body_to_be_read() -> None:
    assert needed("s3", "POST", "/b", DELETE, "delete") == {
        ("s3:DeleteObject", "arn:aws:s3:::b/a", ()),
        ("s3:DeleteObjectVersion", "arn:aws:s3:::b/b", ()),
    }


@pytest.mark.parametrize(
    ("target", "parameters", "expected"),
    [
        pytest.param(
            "TrentService.ScheduleKeyDeletion", {"KeyId": "1234"}, {("kms:ScheduleKeyDeletion", KEY, ())}, id="key id"
        ),
        pytest.param("TrentService.DescribeKey", {"KeyId": KEY}, {("kms:DescribeKey", KEY, ())}, id="key ARN"),
        pytest.param("TrentService.ListKeys", {}, {("kms:ListKeys", "*", ())}, id="no key"),
    ],
)
def test_kms(target: str, parameters: dict[str, str], expected: set[Any]) -> None:
    assert needed("kms", "POST", "/", json.dumps(parameters).encode(), X_AMZ_TARGET=target) == expected


def test_what_runs_in_a_roles_name_needs_that_the_role_is_passed() -> None:
    job = {"TrainingJobName": "T", "RoleArn": "arn:aws:iam::1:role/jobs", "Tags": [{"Key": "k", "Value": "v"}]}
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/t"
    assert needed("sagemaker", "POST", "/", json.dumps(job).encode(), X_AMZ_TARGET="SageMaker.CreateTrainingJob") == {
        ("sagemaker:CreateTrainingJob", arn, ()),
        ("sagemaker:AddTags", arn, ()),
        ("iam:PassRole", "arn:aws:iam::1:role/jobs", (("iam:PassedToService", "sagemaker.amazonaws.com"),)),
    }
