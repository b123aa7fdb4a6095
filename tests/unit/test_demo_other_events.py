"""A region never mixes the users of two apps: which events it takes, and what it forgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto import mock_aws
from test_demo_upload import at, events

from demo.errors import DemoError
from demo.other_events import make_room, refuse_other_events
from demo.upload import partition_files, replace_events

BUCKET, GROUP = "the-bucket", "the-group"
OURS = [("ann", at(day)) for day in (1, 2, 3)]
THEIRS = [("zoe", at(day)) for day in (1, 2, 3)]


def files(rows: list[tuple[str, Any]]) -> dict[str, bytes]:
    return dict(partition_files(events(*rows)))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        replace_events(s3, BUCKET, files(OURS), lambda _: None)
        sagemaker = boto3.client("sagemaker", region_name="us-east-1")
        sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
        sagemaker.create_model_package(ModelPackageGroupName=GROUP, ModelApprovalStatus="Approved")
        deleted: list[str] = []

        # moto has versions, but cannot delete them.
        def delete(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
            deleted.append(json.loads(params["body"])["ModelPackageName"])
            return AWSResponse("", 200, {}, None), {}

        sagemaker.meta.events.register("before-call.sagemaker.DeleteModelPackage", delete)
        yield SimpleNamespace(s3=s3, sagemaker=sagemaker, deleted=deleted)


OF_THE_SAME_USERS = {
    "the same": OURS,
    "a longer export": [*OURS, ("ann", at(4)), ("ben", at(4))],
    "rows that came late": [*OURS, ("ben", at(2))],
    "the last days alone": [("ann", at(3)), ("ann", at(4))],
}


@pytest.mark.parametrize("rows", OF_THE_SAME_USERS.values(), ids=OF_THE_SAME_USERS)
def test_an_export_of_the_same_app_is_taken(rows: list[tuple[str, Any]], aws: SimpleNamespace) -> None:
    refuse_other_events(aws.s3, BUCKET, files(rows), Path("mine.csv"))
    aws.s3.put_object(Bucket=BUCKET, Key="forecasts/standing_plans.json", Body=b"{}")
    make_room(aws.s3, aws.sagemaker, BUCKET, GROUP, files(rows), Path("mine.csv"))
    assert aws.deleted == []


def test_events_of_other_users_are_refused_with_the_remedy(aws: SimpleNamespace) -> None:
    with pytest.raises(DemoError, match=r"other users.*\n.*theirs\.csv.*\n`make down`"):
        refuse_other_events(aws.s3, BUCKET, files(THEIRS), Path("theirs.csv"))


def test_training_on_other_users_forgets_the_models_and_is_refused_once_there_are_forecasts(
    aws: SimpleNamespace,
) -> None:
    aws.s3.put_object(Bucket=BUCKET, Key="forecasts/standing_plans.json", Body=b"{}")
    with pytest.raises(DemoError, match="other users"):
        make_room(aws.s3, aws.sagemaker, BUCKET, GROUP, files(THEIRS), Path("theirs.csv"))
    assert aws.deleted == []
    aws.s3.delete_object(Bucket=BUCKET, Key="forecasts/standing_plans.json")
    make_room(aws.s3, aws.sagemaker, BUCKET, GROUP, files(THEIRS), Path("theirs.csv"))
    assert [arn.rpartition(GROUP)[2] for arn in aws.deleted] == ["/1"]
