"""SageMaker's own SDK, unpatched, works with the local region and the project's images."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from made_visits import made_frame
from patience import patient
from programs import ROOT, missing
from sam_commands import local_region, region_environment

PYTHON = ROOT / "build/notebooks/bin/python"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/any"
BUCKET = "notebook"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
# The SDK refuses a role that lacks one of these, whether the job needs it or not.
ASKED_FOR = ("cloudwatch:PutMetricData", "ecr:GetAuthorizationToken", "ec2:*NetworkInterface*", "ec2:Describe*")
POLICY = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": ["s3:*", *ASKED_FOR], "Resource": "*"},
}


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Result of each step of the program that uses the SDK."""
    if not PYTHON.is_file():
        missing(
            "SageMaker's SDK: `make sdk` installs it into build/notebooks, from a package index that was not reached."
        )
    home = tmp_path_factory.mktemp("region")
    with pytest.MonkeyPatch.context() as patch, local_region(home):
        for variable, value in region_environment(home).items():
            patch.setenv(variable, value)
        s3, iam = boto3.client("s3"), boto3.client("iam")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        visits = made_frame(users=20).to_csv(index=False)
        s3.put_object(Bucket=BUCKET, Key="visits/visits.csv", Body=visits.encode())
        s3.put_object(Bucket=BUCKET, Key="request.json", Body=json.dumps(REQUEST).encode())
        role = iam.create_role(RoleName="notebook", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName="notebook", PolicyName="data", PolicyDocument=json.dumps(POLICY))
        program = Path(__file__).with_name("sagemaker_sdk.py")
        done = subprocess.run(
            [str(PYTHON), str(program), REGISTRY, BUCKET, role],
            cwd=tmp_path_factory.mktemp("notebook"),
            env={**os.environ, "HOME": str(home)},  # no configuration of the user's
            capture_output=True,
            text=True,
            check=False,
            timeout=patient(500),
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"step"')]
        for line in lines:
            print(f"{line['step']}: {line['seconds']} s")
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        yield {line["step"]: line["result"] for line in lines}


REQUEST = {"users": [{"user_id": "new", "date": "2026-11-27", "visits": []}]}


def test_a_processor_runs_the_image(steps: dict[str, Any]) -> None:
    assert steps["processor"] == "Completed"


def test_a_model_trainer_trains_the_image(steps: dict[str, Any]) -> None:
    assert steps["trainer"].startswith(f"s3://{BUCKET}/models/")


def test_a_tuner_finds_the_best_job(steps: dict[str, Any]) -> None:
    assert steps["tuner"]["status"] == "Completed"
    assert steps["tuner"]["completed"] == 2
    assert steps["tuner"]["best"]


def test_an_endpoint_is_described_and_answers(steps: dict[str, Any]) -> None:
    assert steps["endpoint"] == "InService"
    (forecast,) = steps["invoke"]["forecasts"]
    assert forecast["user_id"] == "new"


def test_a_version_is_listed_and_approved(steps: dict[str, Any]) -> None:
    assert steps["registry"] == {"before": "PendingManualApproval", "after": "Approved"}
