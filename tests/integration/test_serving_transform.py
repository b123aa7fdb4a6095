"""The serving image behind an endpoint's API and in a batch transform job of the local region."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import boto3
import pytest
from deployed_stack import Stack, wait_for

from benchmarks.random_model import write_model
from benchmarks.serving import histories, request_of
from visitcast.data.dataset import with_target_days

BUCKET = MODEL = "transform"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/visitcast-local/serving:latest"
ROLE = "arn:aws:iam::123456789012:role/any"
USERS = 50


def requests() -> list[dict[str, Any]]:
    users = histories(USERS)
    asked = with_target_days(users, users.visit_date[users.offsets[1:] - 1] + 1)
    return [json.loads(request_of(asked, user))["users"][0] for user in range(USERS)]


@pytest.fixture(scope="module")
def sagemaker(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Client of the stack's region, in which another bucket holds a model and 50 request lines."""
    folder = tmp_path_factory.mktemp("transform")
    write_model(folder / "model", histories(USERS))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(folder / "model", arcname=".")
    stack.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    stack.s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=archive.getvalue())
    lines = "".join(json.dumps(user) + "\n" for user in requests())
    stack.s3.put_object(Bucket=BUCKET, Key="in/requests.jsonl", Body=lines.encode())
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    stack.sagemaker.create_model(ModelName=MODEL, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    return stack.sagemaker


@pytest.mark.parametrize("strategy", ["MultiRecord", "SingleRecord"])
def test_a_transform_job_answers_every_line_in_order(sagemaker: Any, strategy: str) -> None:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}}
    job_name = f"transform-{strategy}"
    sagemaker.create_transform_job(
        TransformJobName=job_name,
        ModelName=MODEL,
        BatchStrategy=strategy,
        MaxPayloadInMB=1,
        MaxConcurrentTransforms=2,
        TransformInput={"DataSource": source, "ContentType": "application/jsonlines", "SplitType": "Line"},
        TransformOutput={
            "S3OutputPath": f"s3://{BUCKET}/{job_name}",
            "Accept": "application/jsonlines",
            "AssembleWith": "Line",
        },
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    job = wait_for(
        lambda: sagemaker.describe_transform_job(TransformJobName=job_name),
        lambda seen: seen["TransformJobStatus"] != "InProgress",
    )
    assert job["TransformJobStatus"] == "Completed", job
    answer = boto3.client("s3").get_object(Bucket=BUCKET, Key=f"{job_name}/requests.jsonl.out")["Body"].read()
    forecasts = [json.loads(line) for line in answer.splitlines()]
    assert [(one["user_id"], one["date"]) for one in forecasts] == [(one["user_id"], one["date"]) for one in requests()]
    assert {one["source"] for one in forecasts} == {"model"}
    assert all(abs(sum(one["first_visit_hour"]) - 1) < 2e-5 for one in forecasts)
